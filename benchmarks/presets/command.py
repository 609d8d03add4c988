"""Measure the presets of `DomGrid` beside plain Flower, store the results in OUT, and write docs/results/presets.md.

    python benchmarks/presets OUT                      # everything, about 20 minutes of one core
    python benchmarks/presets OUT --only gpt,lora      # some federations, and a page of these

A stored run is measured again only if the preset has changed. An interrupted command goes on where it stopped.
"""

from pathlib import Path
from typing import Annotated

import torch
import typer

from fedretina.dom import PRESETS
from fedretina.study import Results
from presets import page
from presets.federation import Federation, Found, run
from presets.federations import federations

DOCS = Path(__file__).parents[2] / "docs" / "results"
app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(help=__doc__)
def main(
    out: Annotated[Path, typer.Argument(help="Folder of the results.")],
    seeds: Annotated[str, typer.Option(help="Comma-separated.")] = "0,1,2",
    only: Annotated[str, typer.Option(help="Names of federations, comma-separated; default: all.")] = "",
    docs: Annotated[Path, typer.Option(help="The folder of the page.")] = DOCS,
) -> None:
    """Run the federations that are asked for, and write the page."""
    torch.set_num_threads(1)
    known, numbers = federations(out), [int(seed) for seed in seeds.split(",")]
    found = {}
    for name in only.split(",") if only else known:
        found[name] = {
            preset or "plain": [_stored(out, name, known[name], preset, seed) for seed in numbers]
            for preset in (None, *PRESETS)
        }
    page.write(docs, {name: (known[name], runs) for name, runs in found.items()}, numbers, only=only)


def _stored(out: Path, name: str, federation: Federation, preset: str | None, seed: int) -> Found:
    def measured() -> Found:
        one = run(federation, preset, seed)
        print(f"{name}, {preset or 'plain'}, seed {seed}: {one['scores'][-1]:.4f}", flush=True)
        return one

    key = "" if preset is None else str(PRESETS[preset])
    found: Found = Results(out / "runs").measured(f"{name}-{preset or 'plain'}-{seed}", measured, key=key)
    return found
