"""Parts that take long go on where they were broken off, and the page takes up what is there."""

import pytest

from any_strategy import cost, memory, page, tables
from fedretina.study import Results


@pytest.fixture
def sized(monkeypatch):
    """Stand in for Flower's simulation; the third run is broken off."""
    asked = []

    def run(codec, *, nodes, megabytes, rounds, limit_gb=0.0):
        asked.append(codec)
        if len(asked) == 3:
            raise KeyboardInterrupt
        killed = megabytes == 100 and codec == "plain"
        seconds = [] if killed else [9.0, 2.0, 4.0] if codec == "plain" else [9.0, 1.0, 2.0]
        samples = [(0.5, 10**9), (1.0, 20 * 10**9)]
        return {"codec": codec, "seconds": seconds, "killed": killed, "finished": not killed, "samples": samples}

    monkeypatch.setattr(cost, "sized_run", run)
    monkeypatch.setattr(memory, "sized_run", run)
    return asked


def test_cost_goes_on_with_the_run_that_it_was_at(sized, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        cost.measure(100, 1.0, 2, tmp_path)
    found = cost.measure(100, 1.0, 2, tmp_path)
    assert sized == ["plain", "dom", "plain", "plain", "dom"]
    told = cost.text(found)
    assert "| plain Flower | 30.0 | 2.0, 4.0, 2.0, 4.0 | 20.00 |" in told
    assert "DoM's time over plain Flower's: 0.50." in told
    assert cost.measure(100, 1.0, 3, tmp_path)["runs"][:4] == found["runs"]
    assert sized[5:] == ["plain", "dom"]


def test_who_takes_more_than_the_limit_stands_in_the_table(sized, tmp_path, monkeypatch):
    monkeypatch.setattr(page, "PAGE", tmp_path / "page.md")
    monkeypatch.setattr(page, "DOCS", tmp_path)
    (tmp_path / "images").mkdir()
    Results(tmp_path).put("memory-100-100", memory.measure(100, 100.0, 20.0, tmp_path / "runs"))
    page.write(tmp_path)
    assert "| 100 x 100 MB | 20 GB | 20.0 GB, **ended at the limit** | 20.0 GB, 12 s |" in (tmp_path / "page.md").read_text()
    assert (tmp_path / "images" / "memory.png").stat().st_size > 1000


def test_the_table_of_strategies_has_mean_and_spread_and_the_least_difference():
    def runs(*accuracies, wire):
        sizes = {"raw_bytes_down": 100, "raw_bytes_up": 100, "wire_bytes_down": wire, "wire_bytes_up": 2 * wire}
        return [{"accuracy": accuracy, "seed": seed, **sizes} for seed, accuracy in enumerate(accuracies)]

    found = {"Krum/none": runs(97.0, 98.0, 99.0, wire=100), "Krum/dom": runs(96.0, 98.0, 98.5, wire=10)}
    assert tables.seeds_of(found) == "0, 1, 2"
    assert "| Krum | 4 | 98.0 ± 1.0 | 97.5 ± 1.3 | -0.5 ± 0.5 | -1.0 | 10.0 x | 5.0 x | 6.7 x |" in tables.strategies_table(
        found
    )
    assert "All 3 pairs of runs together: -0.50 ± 0.5 points; over DoM 0 end" in tables.all_pairs(found)
