import json
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from fedretina.errors import Corrupt
from fedretina.report import build, format_peers, table
from fedretina.report.peers import format_bound, peer_values
from fedretina.runs import load, read_round


@pytest.fixture
def old(run: Path, edit_target: Callable[..., None]) -> Path:
    """A run without the scores, risks and bytes of peers."""
    rounds = json.loads((run / "summary.json").read_text())["targets"]["duke"]["rounds"]
    edit_target(rounds=[{name: item for name, item in entry.items() if name not in ("peers", "bound")} for entry in rounds])
    return run


def printed(run: Path) -> str:
    console = Console(width=120, no_color=True)
    with console.capture() as capture:
        console.print(table(run))
    return capture.get()


def test_peers_have_the_values_of_the_last_round_and_the_bytes_of_all_rounds(run: Path) -> None:
    found = peer_values(load(run).histories[0])
    assert [value.source for value in found] == ["msmt17", "cuhk03", "market1501"]
    assert found[1].cells == ("cuhk03", "0.58", "42.0", "0.28", "15.0 kB")


def test_terminal_log_and_page_show_them(run: Path) -> None:
    lines = list(format_peers(load(run).histories[0]))
    assert lines[0].split() == ["peer", "R_m", "score", "alpha", "down"]
    assert lines[1].split() == ["msmt17", "0.41", "59.0", "0.53", "15.0", "kB"]
    assert len({len(line) for line in lines}) == 1
    assert "Peers" in printed(run)
    text = build(run).read_text()
    assert "<tr><td>cuhk03</td><td>0.58</td><td>42.0</td><td>0.28</td><td>15.0 kB</td></tr>" in text
    assert "R_m = 0.183" in text


def test_the_bound_is_not_a_metric(run: Path) -> None:
    assert load(run).histories[0].metrics == ["mAP", "rank1"]
    assert load(run).histories[0].rounds[-1].bound == pytest.approx(0.53**2 * 0.41 + 0.28**2 * 0.58 + 0.19**2 * 0.63)
    assert format_bound(load(run).histories[0].rounds[-1]) == "bound 0.183, R_m: msmt17 0.41, cuhk03 0.58, market1501 0.63"


def test_a_run_without_peers_has_no_table_of_them(old: Path) -> None:
    assert peer_values(load(old).histories[0]) == []
    assert list(format_peers(load(old).histories[0])) == []
    assert format_bound(load(old).histories[0].rounds[-1]) == ""
    assert "Peers" not in printed(old)
    assert "R_m" not in build(old).read_text()


def test_a_source_that_joined_later_has_its_own_bytes() -> None:
    peers = {"a": {"score": 50.0, "risk": 0.5, "wire_bytes_down": 7}}
    entry = read_round({"round": 2, "peers": peers, "bound": 0.5})
    assert (entry.peers["a"].sent, entry.bound) == (7, 0.5)
    with pytest.raises(Corrupt, match="peers, a"):
        read_round({"round": 2, "peers": {"a": [1]}})
