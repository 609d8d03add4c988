"""Simulate the traffic and the load of relays for up to a million domains, and write docs/results/million-domains.md.

    python benchmarks/million_domains.py

Sizes of payloads and the processor time of a relay are measured on this machine. Everything else follows from the parameters
that the page states; nothing of it was run with a million domains.
"""

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from fedretina.dom import DomConfig, ReferenceStore
from fedretina.flower import PayloadRelay, RelayedModels
from fedretina.report import LIGHT, new_figure, size, style_axes, to_png
from fedretina.study import table

DOCS = Path(__file__).parents[1] / "docs" / "results"
DAY_S = 86_400
COUNTS = (1_000, 10_000, 100_000, 1_000_000)
PAGE = """# A million domains, simulated

Written by `python benchmarks/million_domains.py` ({machine}, {cores} cores); don't edit. **A simulation**: sizes of payloads
and the processor time of a relay are measured. Everything else follows from the parameters below. No such city was run.
[City of domains](../guides/city-scale.md) says what runs today: one relay.

## The idea

1. A domain sends its payloads to a relay near it. The relay keeps the logs of its domains: payloads and digests, no models.
2. Relays form a tree. A payload that another relay's domain needs is fetched through the tree once, and kept for all.
3. Relays gossip: each knows the mean sketch of every other relay, and asks only the nearest ones for sketches of domains.

Payloads are relayed byte for byte at every step, so digests hold from end to end, and no relay must be trusted with a model.

## Parameters

{parameters}

## Load of a relay

{load}
"One server" is a relay without a tree: every message passes through it. "Whole models" is the same server, but models travel
uncoded. A leaf carries its own domains, and what these need of others. The root carries what passes from one part of the
tree to another. Leaves that fetch from each other directly need no root; then the leaf's load is all, and it hardly grows.
Rates are means over a day; a busy hour needs a multiple.

![Bytes a second through a relay](million-domains.png)

## Gossip of sketches

{gossip}
Simulated round by round: each relay sends all that it knows to {fanout} others, drawn at random. {entry} for each relay
known. The table shows after how many rounds every relay knows every other one, and what that costs.
"""


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """What the simulation assumes."""

    turns_a_day: float = 4.0
    peers: int = 8
    new_peers: float = 0.1
    local: float = 0.8
    leaf_domains: int = 1_000
    fan_out: int = 10
    fanout_gossip: int = 3
    log_payloads: int = 8
    sketch_bytes: int = 512
    model_mb: float = 1.0


MEANING = {
    "turns_a_day": "turns of a domain in a day",
    "peers": "peers whose new version a turn needs",
    "new_peers": "share of these peers that are new: they cost a keyframe",
    "local": "share of peers whose domain is at the same relay, since near domains are alike",
    "leaf_domains": "domains at a leaf relay",
    "fan_out": "relays below each inner relay",
    "fanout_gossip": "relays to which a relay tells what it knows, in a round of gossip",
    "log_payloads": "payloads that a log keeps",
    "sketch_bytes": "bytes of a sketch",
    "model_mb": "megabytes of a model",
}


@dataclass(frozen=True)
class Costs:
    """What is measured: bytes of a keyframe, of a delta and of a whole model; a relay's processor seconds a message."""

    keyframe: float
    delta: float
    whole: float
    cpu_s: float

    def received(self, of: Parameters) -> float:
        """Return the mean bytes of a peer's payload."""
        return of.new_peers * self.keyframe + (1 - of.new_peers) * self.delta


@dataclass(frozen=True)
class Load:
    """The load of one relay: bytes a second through it, share of a core, bytes of its payload logs and caches."""

    rate: float
    cores: float
    kept: float


def measure(of: Parameters) -> Costs:
    """Measure payloads of a model that changes by noise, and the time that a relay needs for a version and its delivery."""
    rng, rows = np.random.default_rng(0), round(of.model_mb * 500)
    model = {"w": np.float32(0.05) * rng.standard_normal((rows, 500), np.float32)}
    relay, sizes, cpu = PayloadRelay(), [], []
    with tempfile.TemporaryDirectory() as folder:
        maker = RelayedModels(ReferenceStore(folder), DomConfig(effort="fast"))
        for _ in range(of.log_payloads):
            reply = maker.publish("a", model, relay.request("a", []))
            began = time.process_time()
            relay.receive("a", reply)
            request = relay.request("b", ["a"])
            cpu.append(time.process_time() - began)
            sizes.append(sum(len(array.data) for array in request.array_records["a"].values()))
            relay.acknowledge("b", request)
            model = {"w": model["w"] + np.float32(1e-3) * rng.standard_normal(model["w"].shape, np.float32)}
    return Costs(sizes[0], float(np.mean(sizes[1:])), float(model["w"].nbytes), float(np.median(cpu)))


def one_server(count: int, of: Parameters, costs: Costs) -> Load:
    """Return the load of a relay through which everything passes."""
    turns = count * of.turns_a_day / DAY_S
    rate = turns * (costs.delta + of.peers * costs.received(of))
    return Load(rate, turns * (1 + of.peers) * costs.cpu_s, count * _log_bytes(of, costs))


def whole_models(count: int, of: Parameters, costs: Costs) -> Load:
    """Return the load of a server that sends models uncoded and keeps the newest of each domain."""
    turns = count * of.turns_a_day / DAY_S
    return Load(turns * (1 + of.peers) * costs.whole, turns * (1 + of.peers) * costs.cpu_s, count * costs.whole)


def leaf(count: int, of: Parameters, costs: Costs) -> Load:
    """Return the load of a leaf of the tree: its own domains, and what they need of others, each payload fetched once."""
    own = one_server(min(count, of.leaf_domains), of, costs)
    wanted = _wanted(count, of)
    rate = wanted * of.turns_a_day / DAY_S
    return Load(
        own.rate + 2 * rate * costs.received(of), own.cores + 2 * rate * costs.cpu_s, own.kept + wanted * costs.keyframe
    )


def root(count: int, of: Parameters, costs: Costs) -> Load:
    """Return the load of the root of the tree: what passes from one of its parts to another. It keeps nothing."""
    leaves = count // of.leaf_domains
    rate = 2 * leaves * _wanted(count, of) * (1 - 1 / of.fan_out) * of.turns_a_day / DAY_S
    return Load(rate * costs.received(of), rate * costs.cpu_s, 0.0)


def _wanted(count: int, of: Parameters) -> float:
    """Return how many domains of other leaves the domains of a leaf need in a turn."""
    others = count - of.leaf_domains
    return distinct(of.leaf_domains * of.peers * (1 - of.local), others) if others > 0 else 0.0


def distinct(draws: float, among: int) -> float:
    """Return the expected number of different items in draws with replacement.

    Examples
    --------
    >>> round(distinct(10, 10**9), 3), round(distinct(10**9, 10), 3)
    (10.0, 10.0)
    """
    return -among * float(np.expm1(draws * np.log1p(-1 / among)))


def _log_bytes(of: Parameters, costs: Costs) -> float:
    return costs.keyframe + (of.log_payloads - 1) * costs.delta


def gossip_rounds(relays: int, fanout: int, seed: int) -> tuple[int, int]:
    """Simulate gossip; return the rounds until all know all, and how many entries the busiest relay has received."""
    rng = np.random.default_rng(seed)
    known, received, rounds = np.eye(relays, dtype=bool), np.zeros(relays, int), 0
    while not known.all():
        told = known.copy()
        for sender in range(relays):
            drawn = rng.choice(relays - 1, size=min(fanout, relays - 1), replace=False)
            for receiver in drawn + (drawn >= sender):  # never itself
                told[receiver] |= known[sender]
                received[receiver] += known[sender].sum()
        known, rounds = told, rounds + 1
    return rounds, int(received.max())


SERVERS: dict[str, Callable[[int, Parameters, Costs], Load]] = {
    "a leaf of the tree": leaf,
    "the root of the tree": root,
    "one server": one_server,
    "one server, whole models": whole_models,
}


def load_table(of: Parameters, costs: Costs) -> str:
    """Write the load of each kind of relay by number of domains."""
    rows = []
    for count in COUNTS:
        for name, load_of in SERVERS.items():
            load = load_of(count, of, costs)
            if not load.rate:
                continue
            rows.append([f"{count:,}", name, f"{size(load.rate)}/s", f"{load.cores:.3f}", size(load.kept)])
    return table(["domains", "", "passes through", "cores", "it keeps"], rows)


def gossip_table(of: Parameters, seeds: range) -> str:
    """Write how gossip spreads, over seeds."""
    rows = []
    for count in COUNTS:
        relays = max(2, count // of.leaf_domains)
        found = [gossip_rounds(relays, of.fanout_gossip, seed) for seed in seeds]
        most = max(entries for _, entries in found)
        rows.append([f"{relays:,}", ", ".join(str(rounds) for rounds, _ in found), size(most * of.sketch_bytes)])
    return table(["relays", f"rounds, seeds {seeds.start} to {seeds.stop - 1}", "bytes to the busiest relay"], rows)


def picture(of: Parameters, costs: Costs) -> bytes:
    """Draw the rates over the number of domains."""
    figure = new_figure(LIGHT, 7, 4)
    axes = figure.add_subplot()
    style_axes(axes, LIGHT, title="Simulated: megabytes a second through a relay")
    for (name, load_of), colour in zip(SERVERS.items(), LIGHT.series, strict=False):
        rates = [load_of(count, of, costs).rate / 1e6 or np.nan for count in COUNTS]
        axes.plot(COUNTS, rates, "o-", color=colour, label=name)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("domains")
    axes.legend(frameon=False)
    return to_png(figure)


def main() -> None:
    """Measure, simulate, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--docs", type=Path, default=DOCS, help="folder of the page")
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds of the gossip")
    options = parser.parse_args()
    of = Parameters()
    costs = measure(of)
    stated = [[MEANING[entry.name], f"{getattr(of, entry.name):g}"] for entry in fields(of)]
    stated += [
        ["measured: bytes of a keyframe, of a delta", f"{size(costs.keyframe)}, {size(costs.delta)}"],
        ["measured: processor time of a relay for a payload that comes and goes", f"{1000 * costs.cpu_s:.2f} ms"],
    ]
    (options.docs / "million-domains.png").write_bytes(picture(of, costs))
    (options.docs / "million-domains.md").write_text(
        PAGE.format(
            machine=platform.machine(),
            cores=os.cpu_count(),
            parameters=table(["parameter", "value"], stated),
            load=load_table(of, costs),
            gossip=gossip_table(of, range(options.seeds)),
            fanout=of.fanout_gossip,
            entry=f"A message has {of.sketch_bytes} bytes",
        ),
        "utf-8",
    )


if __name__ == "__main__":
    main()
