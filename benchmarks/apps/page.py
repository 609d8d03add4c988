"""docs/results/apps.md and its picture, from the pairs of runs that are there."""

from pathlib import Path

from apps.cells import code, read_all
from apps.picture import picture
from apps.tables import Measured, details_table, is_identical, main_table

DOCS = Path(__file__).parents[2] / "docs" / "results"


def write(out: Path) -> None:
    """Write both."""
    measured = read_all(out)
    if not measured:
        raise SystemExit(f"{out} holds no results of this code: first `python benchmarks/apps run {out}`")
    (DOCS / "images").mkdir(parents=True, exist_ok=True)
    (DOCS / "images" / "apps.png").write_bytes(picture(measured))
    (DOCS / "apps.md").write_text(text(measured), encoding="utf-8")


def text(measured: Measured) -> str:
    """Write the page."""
    cells = [cell for some in measured.values() for cell in some]
    machines = sorted({cell["machine"] for cell in cells})
    good = [name for name, some in measured.items() if all(cell["dom"] and is_identical(cell) for cell in some)]
    return f"""# Whole apps, plain Flower beside DoM

You see what `DomGrid(grid)` and `ClientApp(mods=[dom_mod])` change in {len(measured)} Flower apps: metrics, bytes, time, and
whether everything that must arrive bit for bit does. It does in {len(good)} of {len(measured)}.

{main_table(measured)}
- *Plain Flower*: the metric of the last round, mean ± standard deviation over seeds. *Difference*: DoM minus plain, paired
  by seed; *all rounds* is the mean over a run's rounds. *Worst round*: the largest difference of any seed and round.
- *Down*, *up*: bytes that plain Flower sends over bytes sent; above 1 DoM sends less. *Largest excess of a message*: how
  many bytes a message is larger than the same message of plain Flower; negative if all are smaller.
- *Time*: of DoM's run over plain Flower's. The apps train for milliseconds, so what DoM adds to a message weighs most.
- *Bit-identical where it must be*: arrays and records compared, or how many of them differ. What each side handed over is
  compared with what the other side received. Config and metric records must be equal in every app, and counters in models.

![Difference of the metric, DoM minus plain Flower, for each app and round](images/apps.png)

For each app and round: DoM minus plain Flower. Grey: seeds. Blue: their mean, and a standard deviation to both sides.

## What must be exact, and what differs

{details_table(measured)}
Places are named "direction type/record"; `*` stands for any. *Dtypes*: arrays of models that came in another dtype than
they were sent in, with the same values. *Largest error*: of an array in a model, the norm of what changed over the norm of
what was sent. *First model*: what the server sends before any arrays have come. Nothing holds a version of it.
*Bytes in the ledger*: where they are not what went through the grid. Replies that the server never pulls are in no ledger.

## How it was measured

    python benchmarks/apps run OUT
    python benchmarks/apps page OUT

Every app is run twice on each seed: plain, and over DoM with its defaults and a store for each node. Nodes answer in the
process of the server. {_settings(measured)}
Code {code()}; machine: {"; ".join(machines)}.
"""


def _settings(measured: Measured) -> str:
    """List rounds, nodes and seeds, apps of equal ones together."""
    groups: dict[str, list[str]] = {}
    for name, cells in measured.items():
        seeds = ", ".join(str(cell["seed"]) for cell in cells)
        settings = f"{cells[0]['rounds']} rounds, {cells[0]['nodes']} nodes, seeds {seeds}"
        groups.setdefault(settings, []).append(name)
    return "\n".join(["Settings:", "", *(f"- {settings}: {', '.join(names)}" for settings, names in groups.items()), ""])
