"""The command itself: it starts quickly, and says its version."""

import subprocess
import sys

from typer.testing import CliRunner

from fedretina import __version__
from fedretina.cli import app

runner = CliRunner()


def test_version_is_quick() -> None:
    code = "import sys; from fedretina.cli import app; print(sorted({'torch', 'matplotlib', 'flwr'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
    result = runner.invoke(app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"fedretina {__version__}\n")
