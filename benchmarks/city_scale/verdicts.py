"""What the page says of the aims: policies, bad domains, the cost of a message."""

from collections.abc import Sequence
from typing import Any

from city_scale import tables
from city_scale.cells import LEARNS_NO_MORE
from city_scale.found import Cells, best_accuracy, honest_accuracy, interval, mean_and_error, peer_bytes
from city_scale.policies import DEFENDED, TENTH, TURNS_WITH_BAD
from city_scale.scaling import CODECS, SIZES

MARGIN, SHARE = 0.5, 0.1
MOST_TIME = {1.0: 1.15, 10.0: 1.0}
MOST_MEMORY = 4e9
"""The aims: points of accuracy, share of bytes, time over plain Flower's by megabytes, and bytes at 1,000 nodes."""


def of_policies(cells: Cells) -> str:
    """Say whether the best policy reaches all-to-all's accuracy within half a point at a tenth of its bytes."""
    policies = [
        name for name in ("nearest", "score", "bound") if cells.paired(best_accuracy, (name, TENTH, ""), ("all", 0, ""))
    ]
    if not policies:
        return "All-to-all is not measured yet."
    gaps = {name: cells.paired(best_accuracy, (name, TENTH, ""), ("all", 0, "")) for name in policies}
    best = max(gaps, key=lambda name: (len(gaps[name]), sum(gaps[name])))  # of those with the most seeds
    own, whole = cells.rows(peer_bytes, best, TENTH), cells.rows(peer_bytes, "all", 0)
    share = sum(own[seed] / whole[seed] for seed in own if seed in whole) / len(gaps[best])
    mean, error = mean_and_error(gaps[best])
    met = len(gaps[best]) > 1 and mean - interval(gaps[best]) >= -MARGIN and share <= SHARE
    return (
        f"The aim is all-to-all's accuracy within {MARGIN} points at a tenth of its bytes.\n"
        f"`{best}` is {mean:+.2f} ± {error:.2f} points from it with {share:.1%} of its bytes.\n"
        f"On the {len(gaps[best])} seeds that have both, the aim is {'met' if met else 'not met'}."
    )


def of_bad_peers(cells: Cells) -> str:
    """Say of each kind of bad domains whether three seeds can tell it from none."""
    lines = []
    for trust in (False, True):
        for kind, turns in TURNS_WITH_BAD.items():
            lost = cells.paired(honest_accuracy, *((DEFENDED, TENTH, bad, trust, turns) for bad in (kind, "")))
            if len(lost) < 2:  # a standard error needs two seeds
                continue
            mean, error = mean_and_error(lost)
            told = "the seeds can tell it" if abs(mean) > interval(lost) else "less than the seeds can tell"
            name = f"{tables.KINDS[kind].capitalize()}, {'with' if trust else 'without'} trust"
            lines.append(f"- {name}: {mean:+.2f} ± {error:.2f} points, {told}.")
    alone = cells.paired(
        honest_accuracy, *((DEFENDED, TENTH, *how, 4) for how in (("turns hostile", True), (LEARNS_NO_MORE, False)))
    )
    if len(alone) > 1:
        mean, error = mean_and_error(alone)
        lines.append(
            f"- Flipped signs with trust, beside the same domains that publish nothing after their second version: "
            f"{mean:+.2f} ± {error:.2f} points. That is what the attack costs; the rest is what their teaching is worth."
        )
    for turns in sorted(set(TURNS_WITH_BAD.values())):
        costs = cells.paired(honest_accuracy, *((DEFENDED, TENTH, "", trust, turns) for trust in (True, False)))
        if len(costs) > 1:
            mean, error = mean_and_error(costs)
            lines.append(f"- Trust itself, with nothing bad, {turns} turns: {mean:+.2f} ± {error:.2f} points.")
    return "\n".join(lines)


def of_scaling(runs: Sequence[dict[str, Any]]) -> str:
    """Compare relays with plain Flower at the largest number of nodes of each size."""
    by_key = {(run["codec"], run["nodes"], run["megabytes"]): run for run in runs if run["rounds"] and not run["killed"]}
    lines = []
    for megabytes in sorted({megabytes for _, megabytes in SIZES}):
        both = [n for n, each in SIZES if each == megabytes and all((codec, n, megabytes) in by_key for codec in CODECS)]
        if not both:
            continue
        plain, relay = (by_key[codec, max(both), megabytes] for codec in CODECS)
        one, other = tables.message_cost(plain), tables.message_cost(relay)
        cpu = [cost["server_cpu"] + cost["node_cpu"] for cost in (one, other)]
        lines.append(
            f"- {max(both):,} nodes x {megabytes:g} MB: {other['seconds'] / one['seconds']:.2f} times plain Flower's passed "
            f"time a message, {cpu[1] / cpu[0]:.2f} times its processor time, of the server's alone "
            f"{other['server_cpu'] / one['server_cpu']:.2f} times; {relay['rss'] / 1e9:.2f} GB at the server beside "
            f"{plain['rss'] / 1e9:.2f} GB."
        )
        if megabytes in MOST_TIME:
            met = other["seconds"] <= MOST_TIME[megabytes] * one["seconds"]
            lines.append(f"  Aim: at most {MOST_TIME[megabytes]:.2f} times the passed time: {'met' if met else 'not met'}.")
        if max(both) >= 1000:
            met = relay["rss"] < MOST_MEMORY
            lines.append(f"  Aim: memory under {MOST_MEMORY / 1e9:.0f} GB: {'met' if met else 'not met'}.")
    return "\n".join(["Relays beside plain Flower:", "", *lines]) if lines else "Not measured yet."
