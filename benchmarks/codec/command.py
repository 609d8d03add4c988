"""The command: train, measure, draw, write."""

import os
import sys
import time
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import torch
import typer

from codec import page, study
from codec.gpt import page as gpt_page
from codec.gpt import study as gpt_study
from codec.loss import page as loss_page
from codec.loss import study as loss_study
from codec.pictures import load
from codec.results import Results
from fedretina import home
from fedretina.study.codecs import NNCODEC_PYTHON

DOCS = Path(__file__).parents[2] / "docs" / "results"

app = typer.Typer(add_completion=False)


class Part(StrEnum):
    """What is measured: codecs by loss, the coding itself (integers, speed, memory, skips), a GPT's details, or all."""

    loss = "loss"
    coding = "coding"
    gpt = "gpt"
    all = "all"


@app.command()
def main(
    part: Annotated[
        Part,
        typer.Option(
            help="loss: bits against loss; coding: bits, speed and memory; gpt: small tensors, sensitivities, speed"
        ),
    ] = Part.all,
    vectors: Annotated[Path | None, typer.Option(help="where vectors and results are kept; default: in the cache")] = None,
    docs: Annotated[Path, typer.Option(help="pages and their images go there")] = DOCS,
    quick: Annotated[bool, typer.Option(help="hardly trained vectors, few points: a minute or two")] = False,
    nncodec_python: Annotated[Path | None, typer.Option(help="an interpreter with nncodec installed")] = None,
) -> None:
    """Compare the codec with its peers, and write the pages; go on where it was interrupted."""
    start = time.monotonic()
    torch.set_num_threads(1)
    if nncodec_python is not None:
        os.environ[NNCODEC_PYTHON] = str(nncodec_python)
    folder = (vectors or home.home() / "vectors") / ("quick" if quick else "")
    for written in _write(part, folder, docs, quick=quick):
        print(f"{written}: {(time.monotonic() - start) / 60:.1f} minutes", file=sys.stderr)


def _write(part: Part, folder: Path, docs: Path, *, quick: bool) -> Iterator[Path]:
    results = Results(folder / "results", folder)
    # First: it adds models to a folder by which results of the part by loss are known.
    if part in (Part.gpt, Part.all):
        yield gpt_page.write(gpt_study.study(folder, results, quick=quick), docs)
    if part in (Part.loss, Part.all):
        yield loss_page.write(loss_study.study(folder, results, quick=quick), docs)
    if part in (Part.coding, Part.all):
        what, pictures = study.plan(quick=quick), load()
        study.train(what, pictures, folder)
        yield page.write(study.study(what, folder, source=pictures.source, results=results), docs)
