"""Run a study: measure the cells that are not stored yet, and write the page."""

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
from fedretina.study.cell import measure
from fedretina.study.checks import check_cells
from fedretina.study.grid import Study
from fedretina.study.page import markdown, to_json
from fedretina.study.plot import plot
from fedretina.study.setting import Setting
from fedretina.study.store import Metrics, Store
from fedretina.study.student import Tasks


@dataclass(frozen=True)
class StudyRunner:
    """Measures the cells of studies.

    Parameters
    ----------
    tasks : callable
        Makes the task of a setting.
    store : Store
        Stores finished cells. An interrupted study continues from them.
    device : {"auto", "cpu", "cuda"}, default "auto"
        Device of the training.
    """

    tasks: Tasks
    store: Store
    device: str = "auto"

    def measure(self, study: Study, seeds: Sequence[int], console: Console) -> dict[Setting, Metrics]:
        """Measure all cells. Print one line per cell, and progress bars if the console is a terminal.

        All settings are checked before the first one trains. An interrupted cell stores nothing, and starts again later.
        """
        settings, results = study.settings(seeds), dict[Setting, Metrics]()
        check_cells(settings, self.tasks, self.store, device=self.device)
        with _bars(console, len(settings)) as (advance, on_progress):
            for number, setting in enumerate(settings, start=1):
                is_stored = self.store.load(setting) is not None
                metrics = measure(setting, self.tasks, self.store, on_progress, device=self.device)
                results[setting] = metrics
                line = Text(f"{number:4d}/{len(settings)}  {_setting_text(setting)}: {_metrics_text(metrics)}")
                console.print(line.append("  (stored)") if is_stored else line, soft_wrap=True)
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
    """Measure a study, and write its page, its JSON file and its plot into the store's folder.

    Parameters
    ----------
    study : Study
        The study.
    runner : StudyRunner
        Measures the cells.
    seeds : sequence of int
        Each cell is measured once per seed.
    console : Console
        Shows the progress.
    command, data, published
        As for `markdown`.

    Returns
    -------
    Path
        The Markdown page. The JSON file and the plot have the same name with ``.json`` and ``.png``.
    """
    results = runner.measure(study, seeds, console)
    page = runner.store.folder / f"{study.name}.md"
    text = markdown(study, results, seeds, command=command, data=data, published=published)
    write_text(page, text)
    values = json.dumps(to_json(study, results, seeds, published=published), indent=2)
    write_text(page.with_suffix(".json"), values + "\n")
    write_bytes(page.with_suffix(".png"), to_png(plot(study, results, seeds, published=published)))
    return page


@contextmanager
def _bars(console: Console, cells: int) -> Iterator[tuple[Callable[[], None], Callable[[str, int, int], None]]]:
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        whole, part = progress.add_task("cells", total=cells), progress.add_task("", total=1)

        def on_progress(name: str, done: int, total: int) -> None:
            progress.update(part, description=name, completed=done, total=total)

        yield lambda: progress.advance(whole), on_progress


def _setting_text(setting: Setting) -> str:
    loss = setting.loss if setting.head == "global" else f"{setting.loss} on {setting.head}"
    how = f"{setting.method}, {loss}, {'+'.join(setting.sources)}, gamma {setting.gamma:g}"
    return f"{how}, {100 * setting.labelled:.0f} % of {setting.target}, seed {setting.seed}"


def _metrics_text(metrics: Metrics) -> str:
    shown = [f"{name} {value:.1f}" for name, value in metrics.items() if "." not in name][:3]
    return ", ".join(shown)
