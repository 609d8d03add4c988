"""The command: measure the cells that are not stored, then write the page."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from fedretina.reid import task_of
from fedretina.study import Setting, Store, measure
from fedretina.study.tasks import DigitDomains
from fedretina.task import Task
from peers import every_target as page_of_targets
from peers.cells import DIGITS, EVERY_PERSON, OMNIGLOT, PEDESTRIANS, cells, target_cells
from peers.page import write


def make_task(setting: Setting, *, alphabets: Path | None = None) -> Task:
    """Make the task of a cell; `alphabets` is the folder of Omniglot's."""
    if setting.data == DIGITS.differs.data:
        return DigitDomains(targets=(setting.target,), labelled=setting.labelled, seed=setting.seed)
    return task_of(replace(setting, data=str(alphabets)) if setting.data == OMNIGLOT.differs.data else setting)


def run(
    out: Path,
    *,
    seeds: Annotated[str, typer.Option(help="of pedestrians, comma-separated")] = "0,1,2",
    digit_seeds: Annotated[str, typer.Option(help="of digits, comma-separated")] = "0,1,2,3",
    every_target: Annotated[bool, typer.Option("--every-target", help="each domain of persons and letters")] = False,
    omniglot: Annotated[Path | None, typer.Option(help="folder of eight alphabets in the layout of Market-1501")] = None,
    omniglot_seeds: Annotated[str, typer.Option(help="of Omniglot, comma-separated")] = "0,1,2",
    stored: Annotated[bool, typer.Option("--stored", help="measure nothing: the page of the finished cells")] = False,
) -> None:
    """Measure and write. An interrupted command continues with the cells that are missing."""
    store, console = Store(out), Console(width=160)
    persons, digits, alphabets = (tuple(map(int, text.split(","))) for text in (seeds, digit_seeds, omniglot_seeds))
    if every_target:
        wanted = [*(target_cells(OMNIGLOT, alphabets) if omniglot else ()), *target_cells(EVERY_PERSON, persons)]
    else:
        wanted = list(dict.fromkeys([*cells(DIGITS, digits), *cells(PEDESTRIANS, persons)]))
    for number, setting in enumerate([] if stored else wanted, start=1):
        if store.load(setting) is None:
            minutes = measure(setting, partial(make_task, alphabets=omniglot), store, lambda *_: None)["minutes"]
            name = f"{setting.method} of {len(setting.sources)} sources, {setting.target}, seed {setting.seed}"
            console.print(f"{number}/{len(wanted)} {setting.data}: {name}, {setting.labelled:g}, {minutes:.2f} min")
    if every_target:
        for data in () if stored else (EVERY_PERSON, *([OMNIGLOT] if omniglot else ())):
            page_of_targets.measure_distances(store, data, partial(make_task, alphabets=omniglot))
        text = page_of_targets.write(store, {EVERY_PERSON.name: persons, OMNIGLOT.name: alphabets})
    else:
        text = write(store, persons, digits)
    console.print(text, markup=False, soft_wrap=True)


def main() -> None:
    """Run the command."""
    typer.run(run)
