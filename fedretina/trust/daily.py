"""The bytes of today by domain, in the city's folder: ledgers belong to runs, and a city has many."""

import json
import time
from dataclasses import dataclass
from pathlib import Path

from fedretina.atomic import locked, write_text

FILE = "traffic.json"


@dataclass(frozen=True)
class DailyTraffic:
    """Counts the bytes of all runs of a city, from midnight (local time) on.

    Parameters
    ----------
    folder : Path
        The city's folder.

    Examples
    --------
    >>> import tempfile
    >>> traffic = DailyTraffic(Path(tempfile.mkdtemp()))
    >>> traffic.add("duke", 700)
    >>> traffic.add("duke", 300)
    >>> traffic.today()
    {'duke': 1000}
    """

    folder: Path

    def add(self, label: str, count: int) -> None:
        """Add the bytes of a message to or from a node; `label` names its domains, comma-separated."""
        with locked(self.folder / FILE):
            found = self.today()
            found[label] = found.get(label, 0) + count
            write_text(self.folder / FILE, json.dumps({"day": _day(), "bytes": found}) + "\n")

    def today(self) -> dict[str, int]:
        """Return the bytes of today by label; none if the file is of another day, or damaged: it is no record."""
        try:
            found = json.loads((self.folder / FILE).read_text(encoding="utf-8"))
            return {str(label): int(count) for label, count in found["bytes"].items()} if found["day"] == _day() else {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}


def _day() -> str:
    return time.strftime("%Y-%m-%d")
