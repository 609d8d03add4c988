"""The command: train, measure, draw, write."""

import sys
import time
from pathlib import Path
from typing import Annotated

import torch
import typer

from codec.page import write
from codec.pictures import load
from codec.results import Results
from codec.study import plan, study, train
from fedretina import home

DOCS = Path(__file__).parents[2] / "docs" / "results"

app = typer.Typer(add_completion=False)


@app.command()
def main(
    vectors: Annotated[Path | None, typer.Option(help="where vectors and results are kept; default: in the cache")] = None,
    docs: Annotated[Path, typer.Option(help="the page and its images go there")] = DOCS,
    quick: Annotated[bool, typer.Option(help="hardly trained vectors, few points: a minute or two")] = False,
    nncodec_python: Annotated[Path | None, typer.Option(help="an interpreter with nncodec installed")] = None,
) -> None:
    """Compare the codec with its peers, and write docs/results/codec.md; goes on where it was interrupted."""
    start = time.monotonic()
    torch.set_num_threads(1)
    folder = (vectors or home.home() / "vectors") / ("quick" if quick else "")
    what = plan(quick=quick, nncodec=nncodec_python)
    pictures = load()
    train(what, pictures, folder)
    found = study(what, folder, source=pictures.source, results=Results(folder / "results", folder))
    page = write(found, docs)
    print(f"{page}: {(time.monotonic() - start) / 60:.1f} minutes", file=sys.stderr)
