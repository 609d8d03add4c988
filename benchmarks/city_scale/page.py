"""The page docs/results/city.md and its pictures, from what is stored."""

import os
import platform
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from city_scale import defaults, pictures, resumed, tables, verdicts
from city_scale.cells import BAD, TASK, TRAINING
from city_scale.found import Cells
from city_scale.gains import STEPS
from city_scale.others import FLARE_CLIENTS
from city_scale.policies import DEFENDED, TENTH
from city_scale.scaling import LIMIT_GB, ROUNDS, SIZES
from fedretina.report import size
from fedretina.strategies.mutual_reuse import MUTUAL_LIMITS
from fedretina.study import Results, table

MOST_MINUTES = 45
"""The aim at 1,000 nodes."""
HEADINGS = {
    "defaults": ["## The defaults"],
    "resumed": ["## A thousand domains, killed and resumed"],
    "policies": ["## Which peers", "## How well an estimate ranks", "## A bad tenth"],
    "scaling": ["## What a message costs"],
    "others": ["## Other frameworks"],
}
"""The sections of the page by the part that measures them."""
PAGE = """# A city of domains, measured

Written by `python benchmarks/city_scale` ({machine}, {cores} cores); don't edit. [City of domains](../guides/city-scale.md)
says how to run a city. What was measured is in `docs/results/city-results.tar.xz`: unpack it into a folder, and
`python benchmarks/city_scale page --state FOLDER` writes this page again.

## The defaults

{defaults}

## A thousand domains, killed and resumed

{resumed}

## Which peers

{domains} domains in {districts} districts, drawn anew for each seed. A domain has about {samples} images, {labelled:.0%} of
them with labels. {turns} turns: the first one trains at home, the others with peers. These are the defaults of
`simulations/city_scale`, but for the number of turns and the budget. All runs are in one process. Numbers of a row are means
over its seeds, ± the standard error. The design of sketches was chosen on other seeds (7 and 8).

{policies}
"Bytes a domain": what a domain got in its turns with peers, headers included. "Less all": accuracy after the last turn, less
that of all-to-all with the same seed. "Regret": the oracle's accuracy under the same budget, less the policy's. The
oracle ranks by the true gains below, which it measures on test data: it shows the room above, and is no method.

{verdict}

By budget, the accuracy after the last turn of `nearest` less all-to-all's, the oracle's, and each policy's regret:

{regret}
![Accuracy and regret over bytes](city-policies.png)

## How well an estimate ranks

Kendall's tau of each estimate with the true gain, over all {candidates} candidates of a target. The numbers are means over
all targets, then over the seeds, ± the standard error. "Weighted tau" counts the best candidates most.

{estimates}
The true gain of a candidate: the target starts from the candidate's model, trains {steps} steps on its own labels, and is
tested. The same with its own model is subtracted. The gain has the noise of 200 test images, which bounds every tau.
Published marks, on other tasks and few candidates: LogME 0.51, SFDA 0.71.

## A bad tenth

{bad:.0%} of the domains are bad, from their first version on if nothing else is said. The policy is `{defended}` with
{tenth}. The accuracy is that of the domains that are honest in all rows. With trust
(`trust=true`) versions are signed, and admitted if they are finite and changed by no more than {change:g} of their norm.
Hostile domains sign too.

The seeds can tell a difference if it is outside the 95 % interval of Student's t.
"Refused": versions that honest domains did not admit, in a run. "Difference": to the row of the same trust with nothing bad.
The limit was chosen by the changes of honest domains, on other seeds (7 and 8).

{bad_peers}
{bad_verdict}

## What a message costs

Each node gets the newest model of another node, changes it by noise, and publishes its own. Flower simulates them with two
actors. Plain Flower keeps each node's newest model and sends it as it is. {rounds} rounds; the numbers are of the last one.
The load was {load} on {cores} cores, the runs themselves included.{one_core}

{scaling}
"Server's CPU": of the process of the ServerApp and of Flower's engine. "Node's CPU": from the message to the reply, in the
actor. "Server's memory": its largest resident size. "Disk": the nodes' models, all nodes on one disk.

{scaling_verdict}

![Cost over nodes](city-scaling.png)
{missing}
## Other frameworks

A model goes to each client, changes there, and comes back; the server averages. pfl-research: one process, one step of SGD.
NVIDIA FLARE: its simulator, with tensors offloaded to disk, {flare} clients. The difference of two runs with 1 and 3 rounds
is shown, so the start does not count. Both average, which a relay does not, and compress nothing.

{others}"""


def write(state: Path, docs: Path) -> None:
    """Write the page and its pictures; parts of which nothing is stored stay as they are on the page."""
    cells = Cells.load(state / "policies")
    runs = [entry.value for entry in Results(state / "scaling").entries()]
    if cells.by_key:
        (docs / "city-policies.png").write_bytes(pictures.accuracy_over_bytes(cells))
    if runs:
        (docs / "city-scaling.png").write_bytes(pictures.cost_over_nodes(runs))
    text = PAGE.format(
        machine=platform.machine(),
        defaults=_defaults(state / "defaults"),
        resumed=_resumed(state / "resumed"),
        cores=os.cpu_count(),
        domains=TASK.domains,
        districts=TASK.districts,
        samples=TASK.samples,
        labelled=TASK.labelled,
        turns=TRAINING.rounds,
        candidates=TASK.domains - 1,
        policies=tables.policies(cells),
        verdict=verdicts.of_policies(cells),
        regret=tables.regret(cells),
        estimates=tables.estimates(state / "policies"),
        steps=STEPS,
        bad=BAD,
        defended=DEFENDED,
        tenth=size(TENTH),
        change=MUTUAL_LIMITS.change,
        bad_peers=tables.bad_peers(cells),
        bad_verdict=verdicts.of_bad_peers(cells),
        rounds=ROUNDS,
        load=_load(runs),
        one_core=_one_core(runs),
        scaling=tables.scaling(runs),
        scaling_verdict=verdicts.of_scaling(runs),
        flare=FLARE_CLIENTS,
        others=tables.others(state / "others"),
        missing=_missing(runs),
    )
    page = docs / "city.md"
    old = _sections(page.read_text("utf-8")) if page.exists() else {}
    measured = {heading for part, headings in HEADINGS.items() if any((state / part).glob("*")) for heading in headings}
    new = _sections(text)
    page.write_text("".join(new[each] if each in {"", *measured} else old.get(each, new[each]) for each in new), "utf-8")


def _sections(text: str) -> dict[str, str]:
    """Split a page into its sections by their headings; what is before the first one has none."""
    parts = re.split(r"^(?=## )", text, flags=re.MULTILINE)
    return {part.split("\n")[0] if part.startswith("## ") else "": part for part in parts}


def _defaults(folder: Path) -> str:
    """Say how long `flwr run` took, and what came of it."""
    entry = Results(folder).entry(defaults.NAME)
    if entry is None:
        return "Not run yet."
    found = entry.value
    rows = [
        [f"{row['round']}", f"{row['score']:.1f}", size(row["bytes"]), f"{row['seconds'] / 60:.0f} min"]
        for row in found["rounds"]
    ]
    return (
        f"`flwr run simulations/city_scale` took {found['seconds'] / 60:.1f} minutes from nothing to the page of the run. "
        f"The load was {found['load']:.1f} on {os.cpu_count()} cores. {found['domains']} domains, {found['turns']} turns, "
        f"{found['failed']} of them failed; the page has {size(found['page'])}.\n\n"
        + table(["turn", "mean accuracy, %", "bytes until then", "half of the domains after (simulated)"], rows).rstrip()
    )


def _resumed(folder: Path) -> str:
    """Compare the run that was killed and resumed with the one that was not."""
    entries = [Results(folder).entry(name) for name in ("whole", "killed", "resumed", "equal")]
    if any(entry is None for entry in entries):
        return "Not run yet."
    whole, killed, rest, equal = (entry.value for entry in entries if entry is not None)
    total = killed["seconds"] + rest["seconds"]
    slowest = max(total, whole["seconds"])
    scores = ", ".join(f"{row['score']:.2f}" for row in whole["rounds"])
    rows = [
        ["not killed", f"{whole['seconds'] / 60:.1f}", f"{whole['cpu'] / 60:.1f}", f"{whole['load']:.1f}"],
        [f"until it was killed, after {killed['replies']:,} replies", f"{killed['seconds'] / 60:.1f}", "", ""],
        ["resumed, to the end", f"{rest['seconds'] / 60:.1f}", f"{rest['cpu'] / 60:.1f}", f"{rest['load']:.1f}"],
    ]
    kinds = ", ".join(f"{name} {'equal' if same else 'not equal'}" for name, same in equal.items())
    met = slowest <= MOST_MINUTES * 60 and all(equal.values())
    return (
        f"`python simulations/city_scale {' '.join(resumed.command(processes=whole['processes']))}`, seed 0, on "
        f"{whole['cores']} core(s), which other work shared. The second run was killed with all its processes "
        f"(SIGKILL), and resumed by `resume=`.\n\n"
        + table(["run", "minutes", "minutes of processor time", "load"], rows)
        + f"\nMean accuracy after each turn: {scores}. The largest process had {whole['rss'] / 1e9:.2f} GB.\n"
        f"Compared: {kinds}.\n"
        f"The aim is {MOST_MINUTES} minutes on 2 cores with equal numbers: {'met' if met else 'not met'}; "
        f"the killed run took {total / 60:.1f} minutes in both parts."
    )


def _load(runs: Sequence[dict[str, Any]]) -> str:
    loads = [run["load"] for run in runs]
    return f"{min(loads):.1f} to {max(loads):.1f}" if loads else "not measured"


def _one_core(runs: Sequence[dict[str, Any]]) -> str:
    """Name the sizes whose runs, of both kinds, had one core."""
    sizes = dict.fromkeys(f"{run['nodes']:,} x {run['megabytes']:g} MB" for run in runs if run.get("cores") == 1)
    return f" Both runs had one core only: {', '.join(sizes)}." if sizes else ""


def _missing(runs: Sequence[dict[str, Any]]) -> str:
    """List what is planned and not measured, and what it takes."""
    found = {(run["nodes"], run["megabytes"]) for run in runs}
    lines = [
        f"- {nodes:,} x {megabytes:g} MB: {nodes * megabytes / 1000:g} GB of memory at a server that keeps whole models, "
        f"and {ROUNDS * nodes * megabytes / 1000:g} GB of disk for the nodes' versions in {ROUNDS} rounds."
        for nodes, megabytes in SIZES
        if (nodes, megabytes) not in found
    ]
    head = f"Not measured on this machine, where a run is ended at {LIMIT_GB:g} GB of memory:"
    return "\n".join(["", head, "", *lines, ""]) if lines else ""
