from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from fedretina.report import table


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


def test_names_are_no_markup(run: Path, edit: Callable[..., None]) -> None:
    edit(finetune={"[b]": 3.0, "source": "[red]x"}, target="[/]")
    text = printed(run)
    assert "[red]x" in text
    assert "[b]" in text


def test_a_run_without_a_summary(run: Path) -> None:
    (run / "summary.json").unlink()
    assert "on the wire" in printed(run)
