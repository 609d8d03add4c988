"""The last signed report of each domain, as the server keeps them for people: what a node holds, and what it refused."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fedretina import atomic
from fedretina.errors import BadArgument
from fedretina.trust.acknowledgement import Acknowledgement

FILE = "reports.json"


def write_reports(folder: Path, reports: dict[str, Acknowledgement]) -> None:
    """Keep reports by domain in a folder; those of other domains stay."""
    with atomic.locked(folder / FILE):
        found = {**read_reports(folder), **reports}
        entries = {
            domain: {**asdict(report), "held": {stream: [c, digest.hex()] for stream, (c, digest) in report.held.items()}}
            for domain, report in sorted(found.items())
        }
        atomic.write_text(folder / FILE, json.dumps(entries, indent=1) + "\n")


def read_reports(folder: Path) -> dict[str, Acknowledgement]:
    """Return the reports by domain; none if there is no file.

    Raises
    ------
    BadArgument
        If the file is damaged.
    """
    path = folder / FILE
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        return {domain: _read(entry) for domain, entry in entries.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise BadArgument(f"{path} cannot be read ({error}): remove it; nodes report again with the next message") from error


def _read(entry: dict[str, Any]) -> Acknowledgement:
    held = {stream: (int(counter), bytes.fromhex(digest)) for stream, (counter, digest) in entry["held"].items()}
    return Acknowledgement(**{**entry, "held": held})
