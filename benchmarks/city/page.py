"""The page docs/results/city-network.md, from the stored measurement."""

import io
import os
import platform
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from city.city_run import CUT, CUT_AFTER, CUT_S, EDGES, TRAINING
from city.link import DELAY_S, LOSS, RATE
from fedretina.atomic import write_bytes
from fedretina.study import table

PICTURE = "images/city-network.png"
RUNS = {"dom": "DoM", "plain": "models as they are"}
PAGE = """# A city on a slow network

Written by `python benchmarks/city` ({machine}, {cores} cores for all machines, load {load:.1f}); don't edit.

A server and {edges} edge machines ({names}), each a network namespace with its own address and home.
Between two machines: {rate:.0f} Mbit/s, {delay:.0f} ms there and back, and {loss:.0%} lost packets each way.
`benchmarks/city/link.py` is the network: the kernel's `tc netem` is not compiled in everywhere. The machines share the cores
of one computer, so seconds of training depend on its load.

| from the first command to | minutes |
|---|---|
| all nodes enrolled, by {actions} typed lines and {files} files | {enrolled:.1f} |
| the end of the first round | {first:.1f} |

{table}

Time of a round: training and traffic together. In the first round of the first run each machine also renders its data. Bytes
in the ledger: what messages needed, headers included. Bytes on the network: all packets of the server, with TLS,
acknowledgements and what was sent again.
{ratio}

![Seconds and network bytes of the rounds, with DoM and with models as they are]({picture})

## A link that is cut

After round {cut_after} of the run with DoM the link of {cut} was cut for {cut_s:.0f} s. {ended}
The node of a cut link counts as gone after about a minute. Its domain is reused in its last version until it answers again.

## The typed lines

{typed}

The run's settings: `{training}`.
"""


def write(found: Mapping[str, Any], page: Path) -> None:
    """Write the page."""
    dom, plain = found["dom"], found["plain"]
    rows = [_row("DoM, signed", dom), _row("models as they are, plain Flower over TLS", plain)]
    head = ["", "seconds of each round", "MB a round in the ledger", "MB a round on the network"]
    each = [run["ledger_bytes"] / max(1, len(run["seconds"])) for run in (plain, dom)]
    page.write_text(
        PAGE.format(
            machine=platform.machine(),
            cores=os.cpu_count(),
            load=found["load"],
            edges=len(EDGES),
            names=", ".join(EDGES),
            rate=RATE / 1e6,
            delay=2e3 * DELAY_S,
            loss=LOSS,
            actions=found["actions"],
            files=2 * len(EDGES),
            enrolled=found["enrolled_s"] / 60,
            first=found["first_round_s"] / 60,
            table=table(head, rows).rstrip("\n"),
            ratio=f"DoM needed {each[0] / each[1]:.1f} times fewer bytes a round; its first round sends whole models.",
            picture=PICTURE,
            cut_after=CUT_AFTER,
            cut=CUT,
            cut_s=CUT_S,
            ended=_ended(dom),
            typed=_typed(found["typed"]),
            training=TRAINING,
        ),
        "utf-8",
    )
    write_bytes(page.parent / PICTURE, plot(found))


def plot(found: Mapping[str, Any]) -> bytes:
    """Draw the seconds of each round, and the bytes a round on the network."""
    figure = Figure(figsize=(7.6, 2.7), layout="constrained")
    seconds, megabytes = figure.subplots(1, 2, width_ratios=[2, 1])
    for index, (key, label) in enumerate(RUNS.items()):
        run, shift = found[key], 0.2 * (2 * index - 1)
        rounds = range(1, len(run["seconds"]) + 1)
        seconds.bar([number + shift for number in rounds], run["seconds"], 0.38, label=label)
        megabytes.bar(index, run["network_bytes"] / max(1, len(run["seconds"])) / 1e6, 0.6)
    if len(found["dom"]["seconds"]) > CUT_AFTER:
        top = found["dom"]["seconds"][CUT_AFTER]
        seconds.annotate("link cut", (CUT_AFTER + 0.8, top), ha="center", va="bottom", fontsize=8)
    seconds.set_xticks(range(1, 1 + max(len(found[key]["seconds"]) for key in RUNS)))
    seconds.set_xlabel("round")
    seconds.set_ylabel("seconds")
    seconds.margins(y=0.15)
    megabytes.set_xticks(range(len(RUNS)), [label.replace(" as", "\nas") for label in RUNS.values()])
    megabytes.set_ylabel("MB a round on the network")
    figure.legend(loc="outside upper center", ncols=2, frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def _row(label: str, run: Mapping[str, Any]) -> list[str]:
    count = max(1, len(run["seconds"]))
    megabytes = [f"{run[key] / count / 1e6:.2f}" for key in ("ledger_bytes", "network_bytes")]
    return [label, ", ".join(f"{seconds:.0f}" for seconds in run["seconds"]), *megabytes]


def _ended(run: Mapping[str, Any]) -> str:
    after = run["seconds"][CUT_AFTER:]
    if run["status"] != "completed" or not after:
        return f"The run ended: {run['error'] or run['status']}"
    return f"That round took {after[0]:.0f} s, and the run went on to its end."


def _typed(typed: Mapping[str, Sequence[str]]) -> str:
    shown = {name: "\n".join(re.sub(r" out='[^']*'", "", line) for line in lines) for name, lines in typed.items()}
    return "\n\n".join(f"On {name}:\n\n```bash\n{lines}\n```" for name, lines in shown.items())
