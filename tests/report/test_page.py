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
def bare(run: Path, edit: Callable[..., None]) -> Path:
    """A run with pictures, but without plots: its page is made quickly."""
    (run / "ledger.jsonl").unlink()
    edit(rounds=None)
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
    [("learned", "It is learned."), ("bound", "what Theorem 1 says of R_m"), ("uniform", "Here it is the same for all.")],
)
def test_it_says_where_alpha_comes_from(run: Path, alpha: str, said: str) -> None:
    (run / "config.json").write_text(json.dumps({"alpha": alpha}))
    text, _ = check(report.build(run))
    assert said in text


def test_a_failed_run_says_why(run: Path, edit: Callable[..., None]) -> None:
    edit(status="failed", error="lr is <0>: give a number above 0")
    text, _ = check(report.build(run))
    assert "This run failed" in text
    assert "lr is &lt;0&gt;: give a number above 0" in text


def test_a_run_that_failed_at_once_has_a_page(tmp_path: Path) -> None:
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


def test_another_task(run: Path, edit: Callable[..., None]) -> None:
    (run / "ranking.json").unlink()
    rounds = [{"round": 1, "accuracy": 93.1, "alpha": {}, "wire_bytes_down": 9, "raw_bytes_down": 9}]
    edit(reuse={"accuracy": 93.1}, baseline={"accuracy": 80}, finetune=None, full=None, rounds=rounds)
    text, _ = check(report.build(run))
    assert "93.1 accuracy" in text
    assert "+13.1" in text
    assert plots(run) == ["accuracy", "messages"]


def test_a_run_of_one_of_flowers_strategies(run: Path, edit: Callable[..., None]) -> None:
    (run / "ranking.json").unlink()
    rounds = [{"round": n, "accuracy": 90.0 + n, "wire_bytes_down": 9, "raw_bytes_down": 99} for n in (1, 2)]
    edit(strategy="FedAdam", data="digits", reuse=None, baseline=None, finetune=None, full=None, rounds=rounds)
    text, _ = check(report.build(run))
    assert "FedAdam on digits: 92.0 accuracy" in text
    assert "under FedAdam" in text
    assert "target" not in text.split("What went over")[0]
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
def test_odd_rounds(run: Path, edit: Callable[..., None], rounds: list[dict[str, object]]) -> None:
    edit(rounds=rounds)
    check(report.build(run))


def test_words_of_others_are_escaped(run: Path, edit: Callable[..., None]) -> None:
    bad = '"><script>alert(1)</script>'
    edit(target=bad, sources=[bad], model=bad, rounds=[{"round": 1, bad: 3.0, "alpha": {bad: 1.0}}])
    (run / "config.json").write_text(json.dumps({bad: bad}))
    check(report.build(run))


def test_failed_messages_are_listed(run: Path, edit: Callable[..., None]) -> None:
    (run / "ranking.json").unlink()
    edit(rounds=None)
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
    (bare / "ranking.json").write_text(json.dumps([entry]))
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


def test_what_the_committee_labelled_stands_beside_each_round(run: Path, edit: Callable[..., None]) -> None:
    text = report.build(run).read_text()
    assert "<th>labelled, %</th><th>checked, %</th>" in text
    assert "<td>80.1</td><td>92.0</td>" in text
    rounds = json.loads((run / "summary.json").read_text())["rounds"]
    edit(rounds=[{name: item for name, item in entry.items() if name != "committee"} for entry in rounds])
    assert "checked" not in report.build(run).read_text()
