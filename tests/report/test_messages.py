from dataclasses import replace
from pathlib import Path

import pytest

from fedretina.ledger import KINDS, Row, read
from fedretina.report.messages import _COLOURS, plot_messages
from fedretina.report.style import LIGHT, to_png
from fedretina.runs import Run, load
from fedretina.runs.messages import group_messages


def run_of(run: Path, row: Row, **changes: object) -> Run:
    """Make a run of a single row."""
    return replace(load(run), rows=[replace(row, **changes)])


def test_groups_hold_every_byte_once(run: Path) -> None:
    rows = read(run / "ledger.jsonl")
    groups = group_messages(rows)
    assert sum(this.count for this in groups) == len(rows)
    assert sum(this.wire_sum for this in groups) == sum(row.wire_bytes for row in rows)
    assert [this.direction for this in groups] == sorted(this.direction for this in groups)


def test_messages_of_no_bytes_are_drawn(run: Path) -> None:
    row = read(run / "ledger.jsonl")[0]
    assert to_png(plot_messages(run_of(run, row, raw_bytes=0, wire_bytes=0), LIGHT))


def test_a_missing_reply_is_not_counted_as_a_message(run: Path) -> None:
    row = read(run / "ledger.jsonl")[0]
    missing = {"kind": "control", "direction": "up", "raw_bytes": 0, "wire_bytes": 0, "error": "no reply in time"}
    assert [this.count for this in group_messages([row, replace(row, **missing)])] == [1]


@pytest.mark.parametrize(
    ("raw", "wire", "words"),
    [(1000, 500, "2.0x less"), (1000, 990, "as uncompressed"), (1000, 1010, "as uncompressed"), (500, 1000, "2.0x more")],
)
def test_messages_are_compared_with_plain_ones(run: Path, raw: int, wire: int, words: str) -> None:
    row = read(run / "ledger.jsonl")[0]
    figure = plot_messages(run_of(run, row, raw_bytes=raw, wire_bytes=wire), LIGHT)
    assert f"{words}, 1 sent" in [text.get_text() for text in figure.axes[0].texts]


def test_every_kind_of_the_ledger_has_a_colour() -> None:
    assert _COLOURS.keys() == KINDS.keys()
