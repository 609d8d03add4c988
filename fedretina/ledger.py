"""The ledger: one row per model in a message, both directions; tables and plots are views of it.

It is a file of JSON lines that only grows. A message that carries several models leaves one row for each, and what is
around them (configuration, metrics, headers) counts on the first; a message without a model leaves one of kind
`control`. So the sums over the rows are the bytes of all messages.

The rows of a message down are written when it is pushed, those of a reply when it is pulled. What fails leaves one row of
kind `control`, with the reason in `error`:

======================================  =========  ==================================
what failed                             direction  wire_bytes
======================================  =========  ==================================
the grid rejected the message           down       0
the node answered with an error         up         the reply's
the SuperLink answered for the node     up         0
a model could not be decoded            up         the reply's; the message is resent
the reply could not be believed         up         the reply's
no reply came in time                   up         0
======================================  =========  ==================================

A reply that is pulled after its timeout leaves its own row besides.
"""

import json
import logging
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self, TextIO

from fedretina.errors import BadArgument, Corrupt, translate_errors
from fedretina.json_files import parse_json

DIRECTIONS = ("down", "up")
KINDS = {
    "keyframe": "a whole model, quantised",
    "delta": "the difference to the version before",
    "chain": "several versions' payloads that the receiver had missed",
    "skip": "one payload from an old version to the newest",
    "lossless": "the difference, bit for bit",
    "raw": "a model's tensors as they are (codec = none)",
    "control": "a message without a model",
    "none": "nothing: the receiver holds the version already",
}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One model in one message.

    Parameters
    ----------
    round : int
        The round in which it was sent, from 0.
    node : int
        Flower's number of the node that received (down) or sent (up) it.
    domain : str
        The domains that the node hosts, comma-separated; "" where nobody told (`DomGrid.nodes`).
    direction : str
        "down" (server to node) or "up".
    kind : str
        One of `KINDS`.
    stream : str
        Whose model: a domain's name or the server's aggregate; "" for control.
    version : int
        Number of the version that the receiver holds afterwards.
    base, digest : str
        Digests, in hex, of the version that the payload builds on and of the one that it leads to; "" if there is none.
    raw_bytes : int
        What plain Flower would have put into the message.
    wire_bytes : int
        What was sent, headers and envelope included, as measured.
    encode_s : float
        Seconds spent on encoding.
    decode_s : float
        Seconds that the server spent on decoding a reply. It is 0 for "down": the row is written before the node decodes.
    error : str
        Why the message counts as failed; "" (default) if it does not.

    Raises
    ------
    BadArgument
        If a value has the wrong type, or is none that the column allows.
    """

    round: int
    node: int
    domain: str
    direction: str
    kind: str
    stream: str
    version: int
    base: str
    digest: str
    raw_bytes: int
    wire_bytes: int
    encode_s: float
    decode_s: float
    error: str = ""

    def __post_init__(self) -> None:
        for field in fields(self):
            _check_type(field.name, getattr(self, field.name), field.type)
        _check_choice("direction", self.direction, DIRECTIONS)
        _check_choice("kind", self.kind, KINDS)
        for name in ("round", "raw_bytes", "wire_bytes", "encode_s", "decode_s"):
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                raise BadArgument(f"ledger row: {name} is {value}: give a finite number, 0 or more")


@dataclass(frozen=True)
class Totals:
    """Bytes of some messages: what plain Flower would have sent (raw) and what was sent (wire), down and up."""

    raw_down: int
    raw_up: int
    wire_down: int
    wire_up: int

    @property
    def raw(self) -> int:
        """Raw bytes in both directions."""
        return self.raw_down + self.raw_up

    @property
    def wire(self) -> int:
        """Wire bytes in both directions."""
        return self.wire_down + self.wire_up

    @property
    def factor(self) -> float:
        """How many times fewer bytes than plain Flower: raw / wire; 1 where nothing was to be sent."""
        if self.wire == 0:
            return 1.0 if self.raw == 0 else math.inf
        return self.raw / self.wire


class Ledger:
    """Writes rows, from any thread; each is in the file when `append` returns.

    A file that exists is continued: its rows are read, and a last line that was torn by a kill is cut off.

    Parameters
    ----------
    path : pathlib.Path or None
        The file; its folder must exist. None keeps the rows in memory only.

    Raises
    ------
    Corrupt
        If the file exists and is no ledger.

    Examples
    --------
    >>> ledger = Ledger(None)
    >>> ledger.append(Row(round=1, node=7, domain="duke", direction="up", kind="delta", stream="duke", version=2,
    ...                   base="a1", digest="b2", raw_bytes=1200, wire_bytes=100, encode_s=0.1, decode_s=0.0))
    >>> totals(ledger.rows).factor
    12.0
    """

    def __init__(self, path: Path | None) -> None:
        self._lock = Lock()
        self._rows: list[Row] = []
        self._file: TextIO | None = None
        if path is not None:
            if path.exists():
                self._rows = read(path)
                _mend(path)
            self._file = path.open("a", encoding="ascii", newline="\n")

    @property
    def rows(self) -> tuple[Row, ...]:
        """All rows so far, oldest first."""
        with self._lock:
            return tuple(self._rows)

    def append(self, row: Row) -> None:
        """Write one row."""
        line = json.dumps(asdict(row)) + "\n"
        with self._lock:
            if self._file is not None:
                self._file.write(line)
                self._file.flush()
            self._rows.append(row)

    def close(self) -> None:
        """Close the file; `rows` stays."""
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def read(path: Path) -> list[Row]:
    """Read a ledger's file.

    A last line without its line break that is no row was torn by a kill: it is dropped, with a warning in the log.

    Raises
    ------
    Corrupt
        If any other line is no row; the message names file, line and what is wrong.
    """
    rows: list[Row] = []
    with translate_errors(Corrupt, f"{path} cannot be read", "restore it, or move it away"), path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                rows.append(_parse(line))
            except Corrupt as error:
                if line.endswith(b"\n"):
                    raise Corrupt(f"{path}, line {number}: {error}") from error
                _log.warning("%s, line %d: dropped, it ends in the middle (was the run killed?)", path, number)
    return rows


def totals(rows: Iterable[Row]) -> Totals:
    """Sum the bytes of rows, failed messages included: their bytes were sent as well."""
    sums = {(direction, column): 0 for direction in DIRECTIONS for column in ("raw", "wire")}
    for row in rows:
        sums[row.direction, "raw"] += row.raw_bytes
        sums[row.direction, "wire"] += row.wire_bytes
    return Totals(sums["down", "raw"], sums["up", "raw"], sums["down", "wire"], sums["up", "wire"])


def by_round(rows: Iterable[Row]) -> dict[int, list[Row]]:
    """Group rows by round: rounds in ascending order, the rows of each in theirs."""
    groups: dict[int, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.round, []).append(row)
    return dict(sorted(groups.items()))


def _check_type(name: str, value: object, wanted: object) -> None:
    allowed = (int, float) if wanted is float else wanted
    assert isinstance(allowed, type | tuple)
    if isinstance(value, bool) or not isinstance(value, allowed):
        raise BadArgument(f"ledger row: {name} is {value!r}: give {getattr(wanted, '__name__', wanted)}")


def _check_choice(name: str, value: str, choices: Iterable[str]) -> None:
    if value not in choices:
        raise BadArgument(f"ledger row: {name} is {value!r}: choose among {', '.join(choices)}")


def _parse(line: bytes) -> Row:
    columns = parse_json(line)
    if not isinstance(columns, dict):
        raise Corrupt("a JSON value, but no object")
    names = {field.name for field in fields(Row)}
    if unknown := sorted(set(columns) - names):
        raise Corrupt(f"columns {', '.join(map(repr, unknown))} are unknown: was it written by a newer release?")
    if missing := sorted(names - {"error"} - set(columns)):
        raise Corrupt(f"columns {', '.join(missing)} are missing")
    try:
        return Row(**columns)
    except BadArgument as error:
        raise Corrupt(str(error)) from error


def _mend(path: Path) -> None:
    """End the file in a whole line, so that the next row starts on its own."""
    with path.open("rb+") as file:
        whole = file.read()
        end = whole.rfind(b"\n") + 1
        if end == len(whole):
            return
        try:
            _parse(whole[end:])
            file.write(b"\n")
        except Corrupt:
            file.truncate(end)
