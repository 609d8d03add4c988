"""What the page says of the aims: policies, bad domains, the cost of a message."""

from collections.abc import Sequence
from math import inf
from statistics import fmean
from typing import Any

from city_scale import tables
from city_scale.cells import LEARNS_NO_MORE
from city_scale.found import Cells, best_accuracy, honest_accuracy, interval, peer_bytes
from city_scale.policies import BUDGETS, DEFENDED, TENTH, TURNS_WITH_BAD
from city_scale.scaling import CODECS, SIZES
from fedretina.report import size

MARGIN, SHARE = 0.5, 0.1
MOST_TIME = {1.0: 1.15, 10.0: 1.0}
MOST_MEMORY, MEMORY_AT = 4e9, (1000, 1.0)
"""The aims: points of accuracy, share of bytes, time over plain Flower's by megabytes, and bytes by nodes and megabytes."""


def of_policies(cells: Cells) -> str:
    """Say whether the best policy reaches all-to-all's accuracy within half a point at a tenth of its bytes.

    Each policy has the largest budget with which it takes no more than that. The best one has the smallest gap.
    """
    gaps_of: dict[str, list[float]] = {}
    shares: dict[str, tuple[float, int]] = {}
    for policy in ("nearest", "score", "bound"):
        within = [pair for budget in BUDGETS if (pair := (_share(cells, policy, budget), budget))[0] <= SHARE]
        if within:
            shares[policy] = max(within, key=lambda pair: pair[1])
            gaps_of[policy] = cells.paired(best_accuracy, (policy, shares[policy][1], ""), ("all", 0, ""))
    if not gaps_of:
        return "No policy with a tenth of all-to-all's bytes is measured yet."
    policy = max(gaps_of, key=lambda name: (len(gaps_of[name]), sum(gaps_of[name]), name))  # of those with the most seeds
    gaps, (share, budget) = gaps_of[policy], shares[policy]
    met = fmean(gaps) - interval(gaps) >= -MARGIN
    return (
        f"The aim is all-to-all's accuracy within {MARGIN} points at a tenth of its bytes.\n"
        f"Each policy has the largest budget with which it takes at most that; the best one is `{policy}` with "
        f"{size(budget)}: {tables.text(gaps, '+.2f')} points from all-to-all with {share:.1%} of its bytes.\n"
        f"On the {len(gaps)} seeds that have both, the aim is {'met' if met else 'not met'}."
    )


def _share(cells: Cells, policy: str, budget: int) -> float:
    """Return the bytes of a policy over those of all-to-all, a mean over seeds; infinite where one was not measured."""
    own, whole = cells.rows(peer_bytes, policy, budget), cells.rows(peer_bytes, "all", 0)
    return fmean([own[seed] / whole[seed] for seed in own if seed in whole] or [inf])


def of_bad_peers(cells: Cells) -> str:
    """Say of each kind of bad domains whether three seeds can tell it from none."""
    lines = []
    for trust in (False, True):
        for kind, turns in TURNS_WITH_BAD.items():
            lost = cells.paired(honest_accuracy, *((DEFENDED, TENTH, bad, trust, turns) for bad in (kind, "")))
            if len(lost) < 2:  # a standard error needs two seeds
                continue
            verdict = "the seeds can tell it" if abs(fmean(lost)) > interval(lost) else "less than the seeds can tell"
            name = f"{tables.KINDS[kind].capitalize()}, {'with' if trust else 'without'} trust"
            lines.append(f"- {name}: {tables.text(lost, '+.2f')} points, {verdict}.")
    alone = cells.paired(
        honest_accuracy, *((DEFENDED, TENTH, *how, 4) for how in (("turns hostile", True), (LEARNS_NO_MORE, False)))
    )
    if len(alone) > 1:
        lines.append(
            f"- Flipped signs with trust, beside the same domains that publish nothing after their second version: "
            f"{tables.text(alone, '+.2f')} points. That is what the attack costs; the rest is what their teaching is worth."
        )
    for turns in sorted(set(TURNS_WITH_BAD.values())):
        costs = cells.paired(honest_accuracy, *((DEFENDED, TENTH, "", trust, turns) for trust in (True, False)))
        if len(costs) > 1:
            lines.append(f"- Trust itself, with nothing bad, {turns} turns: {tables.text(costs, '+.2f')} points.")
    return "\n".join(lines)


def of_scaling(runs: Sequence[dict[str, Any]]) -> str:
    """Compare relays with plain Flower where both were measured, and with the aims."""
    by_key = {(run["codec"], run["nodes"], run["megabytes"]): run for run in runs if run["rounds"] and not run["killed"]}
    rows, most = [], 0.0
    for nodes, megabytes in sorted(SIZES, key=lambda each: (each[1], each[0])):
        if any((codec, nodes, megabytes) not in by_key for codec in CODECS):
            continue
        plain, relay = (by_key[codec, nodes, megabytes] for codec in CODECS)
        one, other = tables.message_cost(plain), tables.message_cost(relay)
        cpu = [cost["server_cpu"] + cost["node_cpu"] for cost in (one, other)]
        passed, aim = other["seconds"] / one["seconds"], MOST_TIME.get(megabytes)
        rows.append([
            f"{nodes:,}", f"{megabytes:g} MB", f"{passed:.2f}",
            "" if aim is None else f"{aim:.2f}, {'met' if passed <= aim else 'not met'}",
            f"{cpu[1] / cpu[0]:.2f}", f"{other['server_cpu'] / one['server_cpu']:.2f}", f"{relay['rss'] / plain['rss']:.2f}",
        ])  # fmt: skip
        most = max(most, relay["rss"] if (nodes, megabytes) == MEMORY_AT else 0)
    if not rows:
        return "Not measured yet."
    head = ["nodes", "model", "passed time", "aim: at most", "processor time", "of the server alone", "server's memory"]
    lines = ["Relays over plain Flower, a message:", "", tables.table_of(head, rows).rstrip()]
    if most:
        met = "met" if most < MOST_MEMORY else "not met"
        lines += ["", f"The aim is a server under {MOST_MEMORY / 1e9:.0f} GB at 1,000 x 1 MB: {met}, {most / 1e9:.2f} GB."]
    return "\n".join(lines)
