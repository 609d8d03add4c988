"""The tables of the page, as Markdown."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from city_scale.cells import LEARNS_NO_MORE, TRAINING
from city_scale.estimates import ESTIMATES
from city_scale.found import Cells, accuracy, best_accuracy, honest_accuracy, peer_bytes, refused_versions
from city_scale.others import FLARE_CLIENTS, FLARE_ROUNDS, FLARE_RUNS
from city_scale.policies import BUDGETS, DEFENDED, TENTH, TURNS_WITH_BAD
from city_scale.scaling import CODECS
from fedretina.report import size
from fedretina.study import Results, mean_text
from fedretina.study import table as table_of

ROWS = {"all": 0, "nearest": TENTH, "score": TENTH, "bound": TENTH, "random": TENTH, "oracle": TENTH}
"""The budget of each policy."""
CHOOSING = ("nearest", "score", "bound", "random")
"""The policies that choose under a budget without test data."""
KINDS = {
    "": "nothing bad",
    "mislabelled": "random labels",
    "sign-flipped": "all signs of the published model flipped",
    "turns hostile": "all signs flipped from its third version on",
    LEARNS_NO_MORE: "no attack: its second version is its last",
}
NONE = "not run"


def text(values: Sequence[float], form: str = ".2f") -> str:
    """Write a mean over seeds with its standard error."""
    return mean_text(list(values), form, error=True) if values else NONE


def policies(cells: Cells) -> str:
    """Compare the policies: accuracy, bytes, the difference to all-to-all, the regret against the oracle."""
    turns = range(1, TRAINING.rounds + 1)
    head = ["policy", "budget", "seeds", *(f"turn {n}, %" for n in turns), "bytes a domain", "of all", "less all", "regret"]
    rows = []
    for policy, budget in ROWS.items():
        key = policy, budget, ""
        seeds = cells.seeds(policy, budget)
        if not seeds:
            continue
        shares = cells.rows(peer_bytes, *key), cells.rows(peer_bytes, "all", 0)
        ratios = [100 * value / shares[1][seed] for seed, value in shares[0].items() if seed in shares[1]]
        gap = cells.paired(best_accuracy, key, ("all", 0, ""))
        regret = cells.paired(best_accuracy, ("oracle", budget, ""), key) if budget else []
        rows.append([
            policy, size(budget) if budget else "none", ", ".join(map(str, seeds)),
            *(text(list(cells.rows(accuracy(n), *key).values()), ".1f") for n in turns),
            size(sum(shares[0].values()) / len(shares[0])), f"{sum(ratios) / len(ratios):.1f} %" if ratios else NONE,
            text(gap, "+.2f") if policy != "all" else "", text(regret, "+.2f") if budget and policy != "oracle" else "",
        ])  # fmt: skip
    return table_of(head, rows)


def regret(cells: Cells) -> str:
    """Show the regret of each policy by budget; beside it the bytes of `nearest`, its gap to all, and the oracle."""
    rows = []
    for budget in sorted(BUDGETS):
        oracle = cells.rows(best_accuracy, "oracle", budget)
        got = cells.rows(peer_bytes, DEFENDED, budget)
        if not oracle or not got:
            continue
        lost = [cells.paired(best_accuracy, ("oracle", budget, ""), (policy, budget, "")) for policy in CHOOSING]
        seeds, reached = ", ".join(map(str, oracle)), text(list(oracle.values()), ".1f")
        bytes_each = size(sum(got.values()) / len(got))
        gap = text(cells.paired(best_accuracy, (DEFENDED, budget, ""), ("all", 0, "")), "+.2f")
        rows.append([size(budget), seeds, bytes_each, gap, reached, *(text(values, "+.2f") for values in lost)])
    head = ["budget", "seeds", "bytes a domain", f"`{DEFENDED}` less all", "oracle, %"]
    return table_of([*head, *(f"regret of `{policy}`" for policy in CHOOSING)], rows)


def bad_peers(cells: Cells) -> str:
    """Show what a bad tenth costs the honest domains, without trust and with it."""
    rows = []
    for turns in sorted(set(TURNS_WITH_BAD.values())):
        for trust in (False, True):
            for bad in ("", *(kind for kind, needed in TURNS_WITH_BAD.items() if needed == turns)):
                key = DEFENDED, TENTH, bad, trust, turns
                values = list(cells.rows(honest_accuracy, *key).values())
                lost = cells.paired(honest_accuracy, key, (DEFENDED, TENTH, "", trust, turns))
                refused = [cells.rows(refused_versions(bad=which), *key) for which in (True, False)] if trust else []
                counts = [text(list(by_seed.values()), ".1f") for by_seed in refused] or ["", ""]
                rows.append([
                    KINDS[bad], str(turns), "yes" if trust else "no", ", ".join(map(str, cells.seeds(*key))), text(values),
                    text(lost, "+.2f") if bad else "", *counts,
                ])  # fmt: skip
    head = ["the bad tenth has", "turns", "trust", "seeds", "accuracy of the honest domains, %", "difference, by seed"]
    return table_of([*head, "bad versions refused", "others refused"], rows)


def estimates(folder: Path) -> str:
    """Show Kendall's tau of each estimate with the true gain."""
    values = [entry.value for entry in Results(folder).entries("estimates-*")]
    rows = [
        [label, *(text([value[kind][name] for value in values]) for kind in ("tau", "weighted tau"))]
        for name, label in ESTIMATES.items()
    ]
    return table_of(["estimate", "tau", "weighted tau"], rows)


def scaling(found: Sequence[dict[str, Any]]) -> str:
    """Show the cost of a message by number of nodes, size and codec."""
    rows = []
    for one in sorted(found, key=lambda each: (each["megabytes"], each["nodes"], each["codec"])):
        name = [f"{one['nodes']:,}", f"{one['megabytes']:g} MB", CODECS[one["codec"]]]
        if one["killed"] or not one["rounds"]:
            rows.append([*name, "ended at the limit of memory" if one["killed"] else "died", *[""] * 6])
            continue
        cost = message_cost(one)
        rows.append([
            *name, f"{cost['seconds']:.1f}", f"{cost['server_cpu']:.1f}", f"{cost['node_cpu']:.1f}",
            size(cost["down"]), size(cost["up"]), f"{one['rss'] / 1e9:.2f} GB", size(one["disk"]),
        ])  # fmt: skip
    head = [
        "nodes",
        "model",
        "",
        "ms a message",
        "server's CPU, ms",
        "node's CPU, ms",
        "down",
        "up",
        "server's memory",
        "disk",
    ]
    return table_of(head, rows)


def message_cost(run: dict[str, Any]) -> dict[str, float]:
    """Return milliseconds and bytes a message, of the last round: the first ones start the nodes and send whole models."""
    last = run["rounds"][-1]
    return {
        key: last[key] / run["nodes"] * (1000 if key in ("seconds", "server_cpu", "node_cpu") else 1)
        for key in ("seconds", "server_cpu", "node_cpu", "down", "up")
    }


def others(folder: Path) -> str:
    """Show pfl-research and NVIDIA FLARE."""
    rows = []
    for entry in Results(folder).entries("pfl-*"):
        one = entry.value
        name = ["pfl-research", f"{one['nodes']:,}", f"{one['megabytes']:g} MB"]
        if "error" in one:
            rows.append([*name, one["error"], "", ""])
            continue
        wall, cpu = (1000 * one[key][-1] / one["nodes"] for key in ("seconds", "cpu"))
        rows.append([*name, f"{wall:.1f}", f"{cpu:.1f}", f"{one['rss'] / 1e9:.2f} GB"])
    for label, threads in FLARE_RUNS.items():
        runs = [Results(folder).entry(f"flare-{FLARE_CLIENTS}-{threads}-{rounds}") for rounds in FLARE_ROUNDS]
        name = [f"NVIDIA FLARE, {label}", str(FLARE_CLIENTS), "1 MB"]
        if any(run is None for run in runs):
            rows.append([*name, NONE, "", ""])
            continue
        few, many = (run.value for run in runs if run is not None)
        if "error" in few or "error" in many:
            rows.append([*name, few.get("error") or many["error"], "", ""])
            continue
        messages = FLARE_CLIENTS * (FLARE_ROUNDS[1] - FLARE_ROUNDS[0])
        wall, cpu = (1000 * (many[key] - few[key]) / messages for key in ("seconds", "cpu"))
        rows.append([*name, f"{wall:.0f}", f"{cpu:.0f}", f"{many['rss'] / 1e9:.2f} GB"])
    return table_of(["framework", "clients", "model", "ms a message", "CPU, ms", "largest process"], rows)
