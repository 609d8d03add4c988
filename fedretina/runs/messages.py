"""The messages of a run by kind and direction, for plots and tables."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from fedretina.ledger import DIRECTIONS, KINDS, Row, totals


@dataclass(frozen=True)
class MessageGroup:
    """The messages of one kind and direction: their number, median bytes, and the bytes of all of them.

    `raw` is what plain Flower would have sent, `wire` is what was sent. `meaning` describes the kind.
    """

    kind: str
    direction: str
    count: int
    raw: float
    wire: float
    raw_sum: int
    wire_sum: int

    @property
    def meaning(self) -> str:
        """What a message of this kind carries."""
        return KINDS[self.kind]

    @property
    def factor(self) -> float:
        """How many times fewer bytes than plain Flower, over all messages of the group."""
        return self.raw_sum / self.wire_sum if self.wire_sum else 1.0


def group_messages(rows: Sequence[Row]) -> list[MessageGroup]:
    """Group rows by direction and kind, down first, kinds in the ledger's order. Failures that sent nothing are left out."""
    sent = [row for row in rows if row.wire_bytes or row.raw_bytes or not row.error]
    parts = {(d, k): [row for row in sent if (row.direction, row.kind) == (d, k)] for d in DIRECTIONS for k in KINDS}
    return [_group(kind, direction, part) for (direction, kind), part in parts.items() if part]


def wire_bytes(rows: Sequence[Row]) -> Counter[tuple[int, str, str]]:
    """Sum the bytes on the wire by round, direction and kind."""
    sums: Counter[tuple[int, str, str]] = Counter()
    for row in rows:
        sums[row.round, row.direction, row.kind] += row.wire_bytes
    return sums


def _group(kind: str, direction: str, rows: Sequence[Row]) -> MessageGroup:
    sums = totals(rows)
    raw, wire = median(row.raw_bytes for row in rows), median(row.wire_bytes for row in rows)
    return MessageGroup(kind, direction, len(rows), raw, wire, sums.raw, sums.wire)
