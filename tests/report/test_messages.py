from pathlib import Path

from fedretina.ledger import read
from fedretina.report.messages import group, plot_messages
from fedretina.report.style import LIGHT, to_png


def test_groups_hold_every_byte_once(run: Path) -> None:
    rows = read(run / "ledger.jsonl")
    groups = group(rows)
    assert sum(this.count for this in groups) == len(rows)
    assert sum(this.wire_sum for this in groups) == sum(row.wire_bytes for row in rows)
    assert [this.direction for this in groups] == sorted(this.direction for this in groups)


def test_messages_of_no_bytes_are_drawn(run: Path) -> None:
    row = read(run / "ledger.jsonl")[0]
    assert to_png(plot_messages([type(row)(**(vars(row) | {"raw_bytes": 0, "wire_bytes": 0}))], LIGHT))
