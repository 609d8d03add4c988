"""Run the command `fedretina` as a user does, in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path


def run_fedretina(*arguments: str, columns: int = 100) -> str:
    """Return what `fedretina` prints, on stdout and stderr, in a terminal of `columns` characters."""
    environment = os.environ | {"COLUMNS": str(columns), "PYTHONUNBUFFERED": "1"}
    command = [str(Path(sys.executable).with_name("fedretina")), *arguments]
    return subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, check=False
    ).stdout
