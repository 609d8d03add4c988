import json
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fedretina.errors import BadArgument, Corrupt
from fedretina.ledger import DIRECTIONS, KINDS, Ledger, Row, Totals, by_round, read, totals

ROW = Row(
    round=1,
    node=7,
    domain="duke",
    direction="down",
    kind="delta",
    stream="msmt17",
    version=2,
    base="a1",
    digest="b2",
    raw_bytes=1000,
    wire_bytes=100,
    encode_s=0.25,
    decode_s=0.5,
)
counts = st.integers(0, 2**63)
seconds = st.floats(0, 1e9)
rows = st.builds(
    Row,
    round=counts,
    node=st.integers(0, 2**64 - 1),
    domain=st.text(st.characters()),
    direction=st.sampled_from(DIRECTIONS),
    kind=st.sampled_from(list(KINDS)),
    stream=st.text(),
    version=st.integers(-(2**64) + 1, 2**64 - 1),
    base=st.text("0123456789abcdef"),
    digest=st.text("0123456789abcdef"),
    raw_bytes=counts,
    wire_bytes=counts,
    encode_s=seconds,
    decode_s=seconds,
    error=st.text(),
)


@given(st.lists(rows, max_size=5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_written_is_read(tmp_path: Path, written: list[Row]) -> None:
    path = tmp_path / "ledger.jsonl"
    path.unlink(missing_ok=True)
    with Ledger(path) as ledger:
        for row in written:
            ledger.append(row)
    assert read(path) == written == list(ledger.rows)


def test_halves_of_characters_become_question_marks(tmp_path: Path) -> None:
    row = replace(ROW, domain="\ud800", error="a\udfff")
    with Ledger(tmp_path / "ledger.jsonl") as ledger:
        ledger.append(row)
    assert read(tmp_path / "ledger.jsonl") == [row]
    assert (row.domain, row.error) == ("?", "a?")


def test_each_row_is_in_the_file_at_once(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.jsonl") as ledger:
        for count in (1, 2):
            ledger.append(ROW)
            assert len(read(tmp_path / "ledger.jsonl")) == count


def test_threads_do_not_mix_their_rows(tmp_path: Path) -> None:
    written = [replace(ROW, node=node, error="x" * 5000) for node in range(200)]
    with Ledger(tmp_path / "ledger.jsonl") as ledger, ThreadPoolExecutor(8) as pool:
        list(pool.map(ledger.append, written))
    found = read(tmp_path / "ledger.jsonl")
    assert sorted(found, key=lambda row: row.node) == written
    assert list(ledger.rows) == found


def test_memory_only() -> None:
    ledger = Ledger(None)
    ledger.append(ROW)
    ledger.close()
    assert ledger.rows == (ROW,)


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("round", -1),
        ("round", 1.0),
        ("node", True),
        ("direction", "sideways"),
        ("kind", "parcel"),
        ("raw_bytes", -5),
        ("wire_bytes", "100"),
        ("encode_s", float("nan")),
        ("decode_s", float("inf")),
        ("digest", b"b2"),
    ],
)
def test_bad_values_are_refused_by_name(name: str, bad: object) -> None:
    with pytest.raises(BadArgument, match=name):
        Row(**(asdict(ROW) | {name: bad}))


def without(name: str) -> dict[str, object]:
    return {column: value for column, value in asdict(ROW).items() if column != name}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "not JSON"),
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[1]", "not an object"),
        (json.dumps(without("digest")).encode(), "digest are missing"),
        (json.dumps(asdict(ROW) | {"colour": 1}).encode(), "'colour' are unknown"),
        (json.dumps(asdict(ROW) | {"round": "1"}).encode(), "round is '1'"),
        (json.dumps(asdict(ROW) | {"encode_s": float("nan")}).encode(), "encode_s is nan"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: bytes, reason: str) -> None:
    path = tmp_path / "ledger.jsonl"
    good = json.dumps(asdict(ROW)).encode()
    path.write_bytes(b"\n".join([good, good, line, good, b""]))
    with pytest.raises(Corrupt, match=f"line 3: .*{reason}"):
        read(path)


def test_error_may_be_absent(tmp_path: Path) -> None:
    (tmp_path / "ledger.jsonl").write_text(json.dumps(without("error")) + "\n")
    assert read(tmp_path / "ledger.jsonl") == [ROW]


def test_an_integer_of_more_than_64_bits_is_refused() -> None:
    with pytest.raises(BadArgument, match="version has 65 bits"):
        replace(ROW, version=2**64)


def test_a_torn_last_line_is_dropped_wherever_it_tore(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "ledger.jsonl"
    line = json.dumps(asdict(ROW)).encode()
    for end in range(1, len(line)):
        path.write_bytes(line + b"\n" + line[:end])
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            assert read(path) == [ROW]
        assert "line 2: left out" in caplog.text
        with Ledger(path) as ledger:
            ledger.append(replace(ROW, round=2))
        assert [row.round for row in read(path)] == [1, 2]


def test_a_last_line_without_its_break_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_text(json.dumps(asdict(ROW)))
    with Ledger(path) as ledger:
        ledger.append(ROW)
    assert read(path) == [ROW, ROW]


def test_a_file_is_continued(tmp_path: Path) -> None:
    for number in (1, 2):
        with Ledger(tmp_path / "ledger.jsonl") as ledger:
            ledger.append(replace(ROW, round=number))
    assert [row.round for row in ledger.rows] == [1, 2]


def test_a_file_that_is_no_ledger_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_text("my notes\nof today\n")
    with pytest.raises(Corrupt, match="line 1"):
        Ledger(path)
    assert path.read_text() == "my notes\nof today\n"


@given(st.lists(rows))
def test_totals_add_up(some: list[Row]) -> None:
    sums = totals(some)
    assert sums.raw == sum(row.raw_bytes for row in some)
    assert sums.wire == sum(row.wire_bytes for row in some)
    assert sums.wire_up == sum(row.wire_bytes for row in some if row.direction == "up")
    assert totals(row for part in by_round(some).values() for row in part) == sums


@pytest.mark.parametrize(("raw", "wire", "factor"), [(1000, 100, 10.0), (0, 0, 1.0), (5, 0, float("inf")), (0, 5, 0.0)])
def test_factor(raw: int, wire: int, factor: float) -> None:
    assert Totals(raw_down=raw, raw_up=0, wire_down=0, wire_up=wire).factor == factor


def test_rounds_come_in_order() -> None:
    some = [replace(ROW, round=number, node=node) for node, number in enumerate([3, 1, 3, 2])]
    groups = by_round(some)
    assert list(groups) == [1, 2, 3]
    assert [row.node for row in groups[3]] == [0, 2]


@pytest.mark.parametrize("kind", ["folder", "loop"])
def test_what_is_no_file_is_an_error_of_ours(tmp_path, kind):
    path = tmp_path / "ledger.jsonl"
    path.mkdir() if kind == "folder" else path.symlink_to(path)
    with pytest.raises(Corrupt, match=r"ledger\.jsonl cannot be (read|continued) \(.*\): "):
        Ledger(path)
