"""The ledger: one row for each model in a message, in both directions. Tables and plots are made from it.

It is a file of JSON lines that only grows. A message with several models has a row for each. The bytes around the models
(configuration, metrics, headers) count in the first of these rows. A message without a model has one row of kind `control`.
So the sums over the rows are the bytes of all messages.

The rows of a message to a node are written when it is pushed, those of a reply when it is pulled. A failure has one row of
kind `control`, with the reason in `error`:

======================================  =========  ==================================
what failed                             direction  wire_bytes
======================================  =========  ==================================
the grid rejected the message           down       0
the node answered with an error         up         the reply's
the SuperLink answered for the node     up         0
a model could not be decoded            up         the reply's; the message is resent
the reply failed the checks             up         the reply's
no reply came in time                   up         0
======================================  =========  ==================================

A reply that is pulled after its timeout has a row of its own besides.
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
    "chain": "the payloads of several versions that the receiver missed",
    "skip": "one payload from an old version to the newest",
    "lossless": "a difference or a whole model, bit for bit",
    "raw": "a model's tensors, uncoded",
    "control": "a message without a model",
    "none": "nothing: the receiver already holds the version",
}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One model in one message.

    Parameters
    ----------
    round : int
        The round in which the message was sent, from 0.
    node : int
        Flower's identifier of the node that received (down) or sent (up) the message.
    domain : str
        The domains that the node hosts, comma-separated; "" if they are not registered in `DomGrid.nodes`.
    direction : str
        "down" (server to node) or "up".
    kind : str
        What the message carried; one of `KINDS`.
    stream : str
        Name of the model's stream: a domain, or the server's aggregate; "" for control.
    version : int
        Number of the version that the receiver holds afterwards.
    base : str
        Digest, in hex, of the version that the payload builds on; "" if there is none.
    digest : str
        Digest, in hex, of the version that the payload leads to; "" if there is none.
    raw_bytes : int
        Bytes that plain Flower would have sent; for a sealed model, as its maker says.
    wire_bytes : int
        Bytes that were sent, headers and envelope included.
    encode_s : float
        Seconds spent on encoding.
    decode_s : float
        Seconds that the server spent on checking and decoding a reply before the strategy got it. 0 for "down": the row is
        written before the node decodes. A reply that is only relayed may be decoded later; that time is not in it.
    error : str
        Why the message failed; "" (default) if it did not.

    Raises
    ------
    BadArgument
        If a value has the wrong type, or is not allowed in its column.
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
        for name in ("domain", "stream", "error"):  # as `parse_json` reads them: files cannot hold halves of characters
            object.__setattr__(self, name, getattr(self, name).encode("utf-8", "replace").decode())


@dataclass(frozen=True)
class Totals:
    """Sums of bytes: what plain Flower would have sent (raw) and what was sent (wire), down and up."""

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
        """How many times fewer bytes than plain Flower: raw / wire; 1 if there was nothing to send."""
        if self.wire == 0:
            return 1.0 if self.raw == 0 else math.inf
        return self.raw / self.wire


class Ledger:
    """Writes rows, from any thread; a row is in the file when `append` returns.

    An existing file is continued: its rows are read. An incomplete last line (the run was killed) is removed.

    Parameters
    ----------
    path : pathlib.Path or None
        The file; its folder must exist. None keeps the rows in memory only.
    keep_rows : bool, default True
        Whether the rows are kept in memory too. Without, `rows` reads the file: for runs with millions of rows.

    Raises
    ------
    Corrupt
        If the file exists and is not a ledger.

    Examples
    --------
    >>> ledger = Ledger(None)
    >>> ledger.append(Row(round=1, node=7, domain="duke", direction="up", kind="delta", stream="duke", version=2,
    ...                   base="a1", digest="b2", raw_bytes=1200, wire_bytes=100, encode_s=0.1, decode_s=0.0))
    >>> totals(ledger.rows).factor
    12.0
    """

    def __init__(self, path: Path | None, *, keep_rows: bool = True) -> None:
        self._lock = Lock()
        self._path, self._keeps = path, keep_rows or path is None
        self._rows: list[Row] = []
        self._file: TextIO | None = None
        if path is not None:
            with translate_errors(Corrupt, f"{path} cannot be continued", "move it away, or give another folder"):
                if path.exists():
                    found = read(path)
                    self._rows = found if self._keeps else []
                    _repair_end(path)
                self._file = path.open("a", encoding="ascii", newline="\n")

    @property
    def rows(self) -> tuple[Row, ...]:
        """All rows so far, oldest first."""
        with self._lock:
            return tuple(self._rows if self._keeps or self._path is None else read(self._path))

    def append(self, row: Row) -> None:
        """Write one row."""
        line = json.dumps(asdict(row)) + "\n"
        with self._lock:
            if self._file is not None:
                self._file.write(line)
                self._file.flush()
            if self._keeps:
                self._rows.append(row)

    def close(self) -> None:
        """Close the file; `rows` can still be read."""
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def read(path: Path) -> list[Row]:
    """Return the rows of a ledger's file.

    An incomplete last line (the run was killed) is left out, with a warning in the log.

    Raises
    ------
    Corrupt
        If any other line is not a row; the message names the file and the line, and says what is wrong.
    """
    rows: list[Row] = []
    with translate_errors(Corrupt, f"{path} cannot be read", "restore it, or move it away"), path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                rows.append(_parse(line))
            except Corrupt as error:
                if line.endswith(b"\n"):
                    raise Corrupt(f"{path}, line {number}: {error}") from error
                _log.warning("%s, line %d: left out, it is incomplete (was the run killed?)", path, number)
    return rows


def totals(rows: Iterable[Row]) -> Totals:
    """Return the sums of the rows' bytes, failed messages included: their bytes were sent too."""
    sums = {(direction, column): 0 for direction in DIRECTIONS for column in ("raw", "wire")}
    for row in rows:
        sums[row.direction, "raw"] += row.raw_bytes
        sums[row.direction, "wire"] += row.wire_bytes
    return Totals(sums["down", "raw"], sums["up", "raw"], sums["down", "wire"], sums["up", "wire"])


def by_round(rows: Iterable[Row]) -> dict[int, list[Row]]:
    """Return the rows of each round, rounds in ascending order; rows keep their order."""
    groups: dict[int, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.round, []).append(row)
    return dict(sorted(groups.items()))


def _check_type(name: str, value: object, wanted: object) -> None:
    allowed = (int, float) if wanted is float else wanted
    assert isinstance(allowed, type | tuple)
    if isinstance(value, bool) or not isinstance(value, allowed):
        raise BadArgument(f"ledger row: {name} is {value!r}: give {getattr(wanted, '__name__', wanted)}")
    if isinstance(value, int) and value.bit_length() > 64:
        raise BadArgument(f"ledger row: {name} has {value.bit_length()} bits: give an integer of at most 64 bits")


def _check_choice(name: str, value: str, choices: Iterable[str]) -> None:
    if value not in choices:
        raise BadArgument(f"ledger row: {name} is {value!r}: choose one of {', '.join(choices)}")


def _parse(line: bytes) -> Row:
    columns = parse_json(line)
    if not isinstance(columns, dict):
        raise Corrupt("JSON, but not an object")
    names = {field.name for field in fields(Row)}
    if unknown := sorted(set(columns) - names):
        raise Corrupt(f"columns {', '.join(map(repr, unknown))} are unknown: was it written by a newer release?")
    if missing := sorted(names - {"error"} - set(columns)):
        raise Corrupt(f"columns {', '.join(missing)} are missing")
    try:
        return Row(**columns)
    except BadArgument as error:
        raise Corrupt(str(error)) from error


def _repair_end(path: Path) -> None:
    """Remove an incomplete last line, or end it with a line break, so that the next row starts on a line of its own."""
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
