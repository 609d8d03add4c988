from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from fedretina.report import table
from sample_run import make_run


def printed(run: Path) -> str:
    console = Console(width=120, no_color=True)
    with console.capture() as capture:
        console.print(table(run))
    return capture.get()


def test_results_rounds_and_headline(run: Path) -> None:
    text = printed(run)
    assert "Best source, fine-tuned (msmt17)" in text
    assert "msmt17 0.53, cuhk03 0.28, market1501 0.19" in text
    assert "+9.8 over the target alone" in text


def test_names_are_not_read_as_markup(run: Path, edit: Callable[..., None]) -> None:
    edit(targets={"[/]": {"results": {"finetune": {"[b]": 3.0, "source": "[red]x"}}}})
    text = printed(run)
    assert "[red]x" in text
    assert "[b]" in text
    assert "Results on [/]" in text


def test_a_run_without_a_summary(run: Path) -> None:
    (run / "summary.json").unlink()
    assert "on the wire" in printed(run)


def test_each_target_has_its_tables(tmp_path: Path) -> None:
    text = printed(make_run(tmp_path / "two", targets={"duke": 0.0, "market1501": -12.0}))
    for name in ("Results", "Rounds", "Peers"):
        assert [text.count(f"{name} on {target}") for target in ("duke", "market1501")] == [1, 1]
    assert "market1501: reuse 49.2 % mAP, -2.2 against the target alone" in text
