"""What was measured, kept in files: nothing is measured twice."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fedretina.atomic import write_text

Found = dict[str, Any]


def kept(file: Path, measure: Callable[[], Found]) -> Found:
    """Read what is in the file, or measure it and write it there."""
    if not file.exists():
        write(file, measure())
    found: Found = json.loads(file.read_text())
    return found


def write(file: Path, found: Found) -> None:
    """Write a file, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text(file, json.dumps(found, indent=1))
