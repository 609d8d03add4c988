"""The command: measure the cells that are not stored, then write the page."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from fedretina.reid import task_of
from fedretina.study import Setting, Store, measure
from fedretina.study.tasks import DigitDomains
from fedretina.task import Task
from peers.cells import DIGITS, PEDESTRIANS, cells
from peers.page import write


def make_task(setting: Setting) -> Task:
    """Make the task of a cell."""
    if setting.data == DIGITS.differs.data:
        return DigitDomains(targets=(setting.target,), labelled=setting.labelled, seed=setting.seed)
    return task_of(setting)


def run(
    out: Path,
    *,
    seeds: Annotated[str, typer.Option(help="of pedestrians, comma-separated")] = "0,1,2",
    digit_seeds: Annotated[str, typer.Option(help="of digits, comma-separated")] = "0,1,2,3",
    stored: Annotated[bool, typer.Option("--stored", help="measure nothing: the page of the finished cells")] = False,
) -> None:
    """Measure and write. An interrupted command continues with the cells that are missing."""
    store, console = Store(out), Console(width=160)
    persons, digits = (tuple(map(int, text.split(","))) for text in (seeds, digit_seeds))
    wanted = [] if stored else list(dict.fromkeys([*cells(DIGITS, digits), *cells(PEDESTRIANS, persons)]))
    for number, setting in enumerate(wanted, start=1):
        if store.load(setting) is None:
            minutes = measure(setting, make_task, store, lambda *_: None)["minutes"]
            name = f"{setting.method} of {len(setting.sources)} sources, {setting.target}, seed {setting.seed}"
            console.print(f"{number}/{len(wanted)} {setting.data}: {name}, {setting.labelled:g}, {minutes:.2f} min")
    console.print(write(store, persons, digits), markup=False, soft_wrap=True)


def main() -> None:
    """Run the command."""
    typer.run(run)
