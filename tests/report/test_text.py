import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedretina.errors import Corrupt
from fedretina.ledger import Totals
from fedretina.report.text import WIDTH, format_round, headline, saving, size, times, value
from fedretina.runs import load, read_round

names = st.text(st.characters(categories=("L", "N")), min_size=1, max_size=30)
entries = st.fixed_dictionaries(
    {
        "round": st.integers(0, 9999),
        "alpha": st.dictionaries(names, st.floats(0, 1), max_size=12),
        "raw_bytes_down": st.integers(0, 10**15),
        "raw_bytes_up": st.integers(0, 10**15),
        "wire_bytes_down": st.integers(0, 10**15),
        "wire_bytes_up": st.integers(0, 10**15),
    }
)


@settings(max_examples=40)
@given(entries, st.dictionaries(names, st.floats(0, 100), max_size=8), st.just("") | names)
def test_a_round_fits_and_is_aligned(entry: dict[str, object], metrics: dict[str, float], target: str) -> None:
    header, row = format_round(read_round(metrics | entry), header=True, target=target).split("\n")
    assert row == format_round(read_round(metrics | entry), header=False, target=target)
    assert header.startswith("target") == bool(target)
    assert row.startswith(target[:16])
    assert max(len(header), len(row)) <= WIDTH
    assert header.index("saved") + len("saved") == len(header) - len("  alpha")
    assert row[len(header) - len("alpha") - 2 :][:2] == "  "


def test_the_largest_alphas_are_shown() -> None:
    entry = {"round": 1, "alpha": {f"domain-{index:02}": index / 100 for index in range(30)}}
    line = format_round(read_round(entry), header=False)
    assert "domain-29 0.29, domain-28 0.28" in line
    assert line.split(", ")[-1].startswith("+")


def test_an_entry_without_a_round_is_refused() -> None:
    with pytest.raises(Corrupt, match="round is missing"):
        format_round(read_round({"mAP": 3.0}), header=False)


@given(st.floats(1, 1e17))
def test_size_keeps_three_digits(count: float) -> None:
    number, unit = size(count).split()
    power = ("B", "kB", "MB", "GB", "TB", "PB").index(unit)
    assert math.isclose(float(number) * 1000**power, count, rel_tol=0.0051 if power else 0.5)
    assert len(number) <= 4 or power == 5


@pytest.mark.parametrize(("count", "words"), [(0, "0 B"), (999.7, "1.00 kB"), (999_600, "1.00 MB"), (8_140_000, "8.14 MB")])
def test_size(count: float, words: str) -> None:
    assert size(count) == words


def test_missing_numbers_are_dashes() -> None:
    assert value("mAP", math.nan) == value("mAP", None) == "-"
    assert times(math.inf) == "-"


def test_saving_says_less_only_if_fewer_bytes_were_sent() -> None:
    assert saving(Totals(100, 0, 10, 0)) == "10 B instead of 100 B on the wire: 10.0x less"
    assert saving(Totals(10, 0, 100, 0)).endswith("0.1x")
    assert saving(Totals(0, 0, 0, 0)) == "nothing on the wire"


def test_headline(run, edit, edit_results) -> None:
    edit(raw_bytes_down=60_000_000, raw_bytes_up=35_000_000, wire_bytes_down=6_100_000, wire_bytes_up=2_000_000)
    wire = "8.10 MB instead of 95.0 MB on the wire: 11.7x less"
    assert headline(load(run)) == f"reuse 61.2 % mAP, +9.8 over the target alone; {wire}"
    edit_results(alone={"mAP": 63.3})
    assert headline(load(run)) == f"reuse 61.2 % mAP, -2.1 against the target alone; {wire}"
    edit_results(alone=None)
    assert headline(load(run)) == f"reuse 61.2 % mAP; {wire}"
    edit_results(reuse=None)
    assert headline(load(run)) == wire


def test_the_headline_of_a_strategys_run(edit, run):
    rounds = [{"round": 1, "accuracy": 90.0}, {"round": 2, "accuracy": 95.25, "loss": 0.1}]
    edit(strategy="FedAdam", targets=None, rounds=rounds)
    assert headline(load(run)).startswith("FedAdam 95.2 accuracy; ")
