"""Run a study: what is not there yet is measured, cell by cell, and the page is written."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from fedretina.atomic import write_bytes, write_text
from fedretina.report import to_png
from fedretina.study.checks import check_cells
from fedretina.study.grid import Study
from fedretina.study.measure import measure
from fedretina.study.page import document, markdown
from fedretina.study.plot import plot
from fedretina.study.setting import Setting
from fedretina.study.store import Numbers, Store
from fedretina.study.student import Tasks


@dataclass(frozen=True)
class StudyRunner:
    """Measures the cells of studies.

    Parameters
    ----------
    tasks : callable
        Makes the task of a setting.
    store : Store
        Keeps finished cells: an interrupted study goes on where it was.
    device : {"auto", "cpu", "cuda"}, default "auto"
        Where to compute.
    """

    tasks: Tasks
    store: Store
    device: str = "auto"

    def measure(self, study: Study, seeds: Sequence[int], console: Console) -> dict[Setting, Numbers]:
        """Measure all cells, with bars where the console is a terminal, and a line a cell.

        All are checked before the first one trains. A cell that is interrupted leaves nothing; it is begun anew later.
        """
        settings, results = study.settings(seeds), dict[Setting, Numbers]()
        check_cells(settings, self.tasks, self.store, device=self.device)
        with _bars(console, len(settings)) as (advance, on_progress):
            for number, setting in enumerate(settings, start=1):
                was_kept = self.store.numbers(setting) is not None
                found = measure(setting, self.tasks, self.store, on_progress, device=self.device)
                results[setting] = found
                line = Text(f"{number:4d}/{len(settings)}  {_words(setting)}: {_shown(found)}")
                console.print(line.append("  (kept)") if was_kept else line, soft_wrap=True)
                advance()
        return results


def run(
    study: Study,
    runner: StudyRunner,
    seeds: Sequence[int],
    *,
    console: Console,
    command: str,
    data: str,
    published: bool = False,
) -> Path:
    """Measure a study, and write its page, its numbers and its plot into the store's folder.

    Parameters
    ----------
    study : Study
        What is asked.
    runner : StudyRunner
        With what it is measured.
    seeds : sequence of int
        Each cell is measured once a seed.
    console : Console
        Where progress is shown.
    command, data, published
        As for `markdown`.

    Returns
    -------
    Path
        The Markdown page; beside it stand ``.json`` and ``.png``.
    """
    results = runner.measure(study, seeds, console)
    page = runner.store.folder / f"{study.name}.md"
    text = markdown(study, results, seeds, command=command, data=data, published=published)
    write_text(page, text)
    numbers = json.dumps(document(study, results, seeds, published=published), indent=2)
    write_text(page.with_suffix(".json"), numbers + "\n")
    write_bytes(page.with_suffix(".png"), to_png(plot(study, results, seeds, published=published)))
    return page


@contextmanager
def _bars(console: Console, cells: int) -> Iterator[tuple[Callable[[], None], Callable[[str, int, int], None]]]:
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        whole, part = progress.add_task("cells", total=cells), progress.add_task("", total=1)

        def on_progress(what: str, done: int, total: int) -> None:
            progress.update(part, description=what, completed=done, total=total)

        yield lambda: progress.advance(whole), on_progress


def _words(setting: Setting) -> str:
    loss = setting.loss if setting.head == "global" else f"{setting.loss} on {setting.head}"
    how = f"{setting.method}, {loss}, {'+'.join(setting.sources)}, gamma {setting.gamma:g}"
    return f"{how}, {100 * setting.labelled:.0f} % of {setting.target}, seed {setting.seed}"


def _shown(numbers: Numbers) -> str:
    shown = [f"{name} {value:.1f}" for name, value in numbers.items() if "." not in name][:3]
    return ", ".join(shown)
