import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from fedretina import report
from fedretina.errors import BadArgument
from fedretina.ledger import Ledger, read
from fedretina.report import headline
from fedretina.runs import load
from sample_run import make_run

PLOTS = ["accuracy", "alpha", "messages", "ranking"]
NEEDS_SOURCE = re.compile(r"(?:src|srcset|href)=\"(?!data:)|url\(|@import|<script|<link", re.IGNORECASE)


class Checker(HTMLParser):
    """Collects alternative texts, and checks that tags close in order."""

    VOID = ("meta", "img", "source", "br")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.alts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.alts.append(dict(attrs).get("alt") or "")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def check(page: Path) -> tuple[str, Checker]:
    text, checker = page.read_text(), Checker()
    checker.feed(text)
    assert checker.open == []
    assert not NEEDS_SOURCE.search(text)
    assert all(checker.alts)
    return text, checker


def plots(run: Path) -> list[str]:
    for path in run.glob("*.png"):
        Image.open(path).verify()
    return sorted(path.stem.removeprefix("report-") for path in run.glob("*.png"))


@pytest.fixture
def bare(run: Path, edit_target: Callable[..., None]) -> Path:
    """A run with pictures, but without plots: its page is made quickly."""
    (run / "ledger.jsonl").unlink()
    edit_target(rounds=None)
    return run


def test_a_completed_run(run: Path) -> None:
    (run / "notes.txt").write_text("mine")
    page = report.build(run)
    assert page == run / "report.html"
    text, checker = check(page)
    assert "61.2 % mAP, +9.8 over the target alone" in text.replace("Reuse", "reuse")
    assert "banner" not in text.split("</style>")[1]
    assert len(checker.alts) == 3 + 11
    assert plots(run) == PLOTS
    with Image.open(run / "report-accuracy.png") as picture:
        assert picture.width == 2080
    assert (run / "notes.txt").read_text() == "mine"
    assert not list(run.glob(".*"))


def test_the_same_run_gives_the_same_page(run: Path) -> None:
    first = report.build(run).read_bytes()
    assert report.build(run).read_bytes() == first


@pytest.mark.parametrize(
    ("alpha", "said"),
    [("learned", "It is learned."), ("bound", "the optimum of Theorem 1"), ("uniform", "Here it is the same for all.")],
)
def test_the_page_names_the_origin_of_alpha(run: Path, alpha: str, said: str) -> None:
    (run / "config.json").write_text(json.dumps({"alpha": alpha}))
    text, _ = check(report.build(run))
    assert said in text


def test_a_failed_run_says_why(run: Path, edit: Callable[..., None]) -> None:
    edit(status="failed", error="lr is <0>: give a number above 0")
    text, _ = check(report.build(run))
    assert "This run failed" in text
    assert "lr is &lt;0&gt;: give a number above 0" in text


def test_a_run_that_failed_before_its_first_round_has_a_page(tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text(json.dumps({"status": "failed", "error": "no data"}))
    text, checker = check(report.build(tmp_path))
    assert "no data" in text
    assert checker.alts == []
    assert plots(tmp_path) == []


def test_a_run_under_way(run: Path) -> None:
    for name in ("summary.json", "ranking.json"):
        (run / name).unlink()
    text, _ = check(report.build(run))
    assert "not finished" in text
    assert plots(run) == ["messages"]


def test_another_task(run: Path, edit_target: Callable[..., None], edit_results: Callable[..., None]) -> None:
    (run / "ranking.json").unlink()
    edit_target(rounds=[{"round": 1, "accuracy": 93.1, "alpha": {}}])
    edit_results(reuse={"accuracy": 93.1}, alone={"accuracy": 80}, finetune=None, full=None)
    text, _ = check(report.build(run))
    assert "93.1 accuracy" in text
    assert "+13.1" in text
    assert plots(run) == ["accuracy", "messages"]


def test_a_run_of_one_of_flowers_strategies(run: Path, edit: Callable[..., None]) -> None:
    (run / "ranking.json").unlink()
    rounds = [{"round": n, "accuracy": 90.0 + n, "wire_bytes_down": 9, "raw_bytes_down": 99} for n in (1, 2)]
    edit(strategy="FedAdam", data="digits", targets=None, sources=None, rounds=rounds)
    text, _ = check(report.build(run))
    assert "FedAdam on digits: 92.0 accuracy" in text
    assert "under FedAdam" in text
    assert "target" not in text.split("</style>")[1].split("Bytes on the wire")[0]
    assert plots(run) == ["accuracy", "messages"]


@pytest.mark.parametrize(
    "rounds",
    [
        [{"round": 0, "mAP": 40.0}],
        [{"round": 1, "mAP": float("nan"), "alpha": {"msmt17": float("nan")}}],
        [{"round": n, "mAP": n, "wire_bytes_up": 10**9, "alpha": {f"s{i}": 0.02 for i in range(50)}} for n in (1, 2)],
    ],
    ids=["no bytes", "not finite", "fifty sources"],
)
def test_odd_rounds(
    run: Path, edit: Callable[..., None], edit_target: Callable[..., None], rounds: list[dict[str, object]]
) -> None:
    edit_target(rounds=rounds)
    edit(rounds=rounds)
    check(report.build(run))


@pytest.mark.parametrize("count", [1, 2])
def test_words_of_others_are_escaped(run: Path, edit: Callable[..., None], count: int) -> None:
    bad = '"><script>alert(1)</script>'
    targets = {name: {"rounds": [{"round": 1, bad: 3.0, "alpha": {bad: 1.0}}]} for name in (bad, "../../other")[:count]}
    edit(targets=targets, sources=[bad], model=bad)
    (run / "config.json").write_text(json.dumps({bad: bad}))
    check(report.build(run))
    assert {path.parent for path in run.parent.rglob("*") if path.suffix in (".png", ".html")} == {run}


def test_failed_messages_are_listed(run: Path, edit_target: Callable[..., None]) -> None:
    (run / "ranking.json").unlink()
    edit_target(rounds=None)
    row = read(run / "ledger.jsonl")[0]
    with Ledger(run / "ledger.jsonl") as ledger:
        ledger.append(type(row)(**(vars(row) | {"error": "UnknownBase: 8f3a61c2"})))
    text, _ = check(report.build(run))
    assert "UnknownBase: 8f3a61c2" in text


def test_pictures_outside_of_the_run_are_left_out(bare: Path, caplog: pytest.LogCaptureFixture) -> None:
    Image.new("RGB", (8, 8), "red").save(bare.parent / "private.png")
    (bare / "ranking" / "link.png").symlink_to(bare.parent / "private.png")
    (bare / "ranking" / "torn.jpg").write_bytes((bare / "ranking" / "q0.jpg").read_bytes()[:300])
    names = ("../private.png", str(bare.parent / "private.png"), "ranking/link.png", "ranking/torn.jpg", "gone.jpg")
    gallery = [{"picture": name, "identity": 1, "camera": 1, "right": False} for name in names]
    entry = {"query": {"picture": "ranking/q0.jpg", "identity": 1, "camera": 2}, "gallery": gallery}
    (bare / "ranking.json").write_text(json.dumps({"duke": [entry]}))
    text, checker = check(report.build(bare))
    assert text.count("no picture") == len(names)
    assert len(checker.alts) == 1
    assert caplog.text.count("left out: it lies outside") == 3 * 2  # on the page and in the PNG


def test_large_pictures_are_made_small(bare: Path) -> None:
    Image.new("RGB", (3000, 6000)).save(bare / "ranking" / "q0.jpg")
    assert len(report.build(bare).read_bytes()) < 500_000


def test_a_page_that_cannot_be_written(bare: Path) -> None:
    (bare / "report.html").mkdir()
    with pytest.raises(BadArgument, match="cannot write"):
        report.build(bare)


def test_the_page_shows_the_labels_of_the_committee_by_round(run: Path, edit_target: Callable[..., None]) -> None:
    text = report.build(run).read_text()
    assert "<th>labelled, %</th><th>checked, %</th>" in text
    assert "<td>80.1</td><td>92.0</td>" in text
    rounds = json.loads((run / "summary.json").read_text())["targets"]["duke"]["rounds"]
    edit_target(rounds=[{name: item for name, item in entry.items() if name != "committee"} for entry in rounds])
    assert "checked" not in report.build(run).read_text()


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """A completed run with two targets."""
    return make_run(tmp_path / "two", targets={"duke": 0.0, "market1501": -12.0})


def test_two_targets_have_a_part_of_the_page_each(two: Path) -> None:
    text, checker = check(report.build(two))
    assert "2 targets reuse msmt17, cuhk03, market1501" in text
    assert "duke: reuse 61.2 % mAP, +9.8 over the target alone; market1501: reuse 49.2 % mAP, -2.2 against the" in text
    assert "duke: 61.2 % mAP by reusing msmt17, cuhk03, market1501" in text
    assert "market1501: 49.2 % mAP by reusing msmt17, cuhk03</h2>" in text
    assert "<tr><td>market1501</td><td>49.2 %</td><td>65.4 %</td><td>-2.2</td><td>-8.7</td></tr>" in text
    assert [text.count(f"<h2>{part}</h2>") for part in ("Results", "Rounds", "Bytes on the wire")] == [2, 2, 1]
    assert len(checker.alts) == 1 + 2 * (2 + 11)
    by_target = [f"{kind}-{target}" for kind in ("accuracy", "alpha", "ranking") for target in ("duke", "market1501")]
    assert plots(two) == sorted([*by_target, "messages"])


def test_many_targets_are_summed_up_by_their_mean(tmp_path: Path) -> None:
    run = make_run(tmp_path / "many", targets={f"site{number}": float(number) for number in range(5)})
    assert headline(load(run)).startswith("mean of 5 targets: reuse 63.2 % mAP, +11.8 over the target alone; ")
