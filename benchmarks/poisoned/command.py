"""Measure the cells that are not stored yet, and write docs/results/poisoned.md.

    python benchmarks/poisoned --seeds 0,1,2

Results are stored in the state folder: an interrupted benchmark continues. The page shows what is stored.
"""

import argparse
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import torch

from fedretina.study import Results
from fedretina.train import Training
from poisoned.attacks import ATTACKS
from poisoned.cells import Cell, measure
from poisoned.page import write

PAGE = Path(__file__).parents[2] / "docs" / "results" / "poisoned.md"


def cells(seed: int) -> Iterator[Cell]:
    for defended in (True, False):
        yield Cell("", 0, defended, seed)
    for attack in ATTACKS:
        for bad in (1, 2):
            for defended in (True, False):
                yield Cell(attack, bad, defended, seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--home-epochs", type=int, default=12)
    parser.add_argument("--local-epochs", type=int, default=4)
    parser.add_argument("--epoch-images", type=int, default=1000)
    parser.add_argument("--state", type=Path, default=Path("build/poisoned"), help="folder of the stored results")
    parser.add_argument("--page", type=Path, default=PAGE)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for seed in map(int, options.seeds.split(",")):
        training = Training(
            rounds=options.rounds,
            home_epochs=options.home_epochs,
            local_epochs=options.local_epochs,
            epoch_samples=options.epoch_images,
            device="cpu",
            seed=seed,
        )
        state = options.state / f"{options.rounds}-{options.home_epochs}-{options.local_epochs}-{options.epoch_images}"
        for cell in cells(seed):
            measured = Results(state / "cells").measured(cell.name, lambda: asdict(cell) | measure(cell, training, state))  # noqa: B023
            shutil.rmtree(state / "nodes" / cell.name, ignore_errors=True)
            print(cell.name, [f"{value:.1f}" for value in measured["mAP"]], measured["error"], flush=True)
            write(state, training, options.page)
