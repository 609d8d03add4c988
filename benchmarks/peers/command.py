"""The command: measure the cells that are not stored, then write the page."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from fedretina.reid import task_of
from fedretina.study import Setting, Store, measure
from fedretina.study.tasks import DigitDomains
from fedretina.task import Task
from peers.cells import digit_cells, pedestrian_cells


def make_task(setting: Setting) -> Task:
    """Make the task of a cell."""
    if setting.data == "digits":
        return DigitDomains(targets=(setting.target,), labelled=setting.labelled, seed=setting.seed)
    return task_of(setting)


def run(
    out: Path,
    seeds: Annotated[str, typer.Option(help="of pedestrians, comma-separated")] = "0,1,2",
    digit_seeds: Annotated[int, typer.Option(help="number of seeds of digits")] = 6,
) -> None:
    """Measure and write."""
    store, console = Store(out), Console(width=160)
    numbers = [int(seed) for seed in seeds.split(",")]
    cells = [*digit_cells(range(digit_seeds)), *pedestrian_cells(numbers)]
    for number, setting in enumerate(dict.fromkeys(cells), start=1):
        if store.load(setting) is None:
            metrics = measure(setting, make_task, store, lambda *_: None, device="cpu")
            score = metrics.get("mAP", metrics.get("accuracy"))
            console.print(
                number,
                setting.data,
                setting.target,
                len(setting.sources),
                setting.method,
                setting.labelled,
                setting.seed,
                score,
                f"{metrics['minutes']:.2f}",
            )


def main() -> None:
    """Run the command."""
    typer.run(run)
