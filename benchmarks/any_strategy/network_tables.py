"""The section about networks: every round of DoM compared with plain Flower, as a table and a plot."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from any_strategy.network_models import NETWORKS
from any_strategy.networks import NODES, SKEW
from any_strategy.tables import Found
from fedretina.study import mean_text
from fedretina.study import table as table_of

PICTURE = "any-strategy-networks.png"
COLUMNS = 4
Runs = Sequence[Found]


@dataclass(frozen=True)
class Round:
    """One round over all runs: plain Flower's accuracy, and the difference of DoM from it, paired by run.

    Attributes
    ----------
    mean, deviation : float
        Plain Flower's mean and standard deviation over the runs, in percent.
    difference, error : float
        The mean of the paired differences and its standard error, in points.
    example : float
        One test example, in points.
    """

    number: int
    mean: float
    deviation: float
    difference: float
    error: float
    example: float

    @property
    def spread(self) -> float:
        """The largest difference that is not significant, in points."""
        return max(self.deviation, 2 * self.error, self.example)

    @property
    def is_below(self) -> bool:
        """Whether DoM is lower than the spread explains."""
        return self.difference < -self.spread

    @property
    def is_above(self) -> bool:
        """Whether DoM is higher than the spread explains."""
        return self.difference > self.spread


def rounds_of(name: str, runs: dict[str, Runs]) -> list[Round]:
    """Compare DoM with plain Flower, over runs of the same seeds, round by round."""
    example = 100 / len(NETWORKS[name].load().test_y)
    found = []
    pairs = zip(_by_round(runs["plain"]), _by_round(runs["dom"]), strict=True)
    for number, (a, b) in enumerate(pairs, 1):
        differences = [y - x for x, y in zip(a, b, strict=True)]
        error = _deviation(differences) / math.sqrt(len(differences))
        found.append(Round(number, statistics.mean(a), _deviation(a), statistics.mean(differences), error, example))
    return found


def _by_round(runs: Runs) -> list[tuple[float, ...]]:
    return list(zip(*(one["accuracy"] for one in runs), strict=True))


def _deviation(values: Sequence[float]) -> float:
    return statistics.stdev(values) if len(values) > 1 else 0.0


def factor(runs: Runs) -> float:
    """Divide the bytes of plain Flower by those that were sent."""
    raw, wire = (sum(one[key] for one in runs) for key in ("raw_bytes", "wire_bytes"))
    return float(raw / wire)


def table(found: Found) -> str:
    """Write the table, a row for each network."""
    head = ["network", "parameters", "runs", "plain Flower, %", "last round", "worst round", "rounds below the spread"]
    head += ["least running variance", "bytes", "bytes, lossless"]
    return table_of(head, [_row(name, runs) for name, runs in found["networks"].items()])


def _row(name: str, runs: dict[str, Runs]) -> list[str]:
    rounds = rounds_of(name, runs)
    worst = min(rounds, key=lambda one: one.difference)
    below = ", ".join(str(one.number) for one in rounds if one.is_below)
    return [
        NETWORKS[name].title,
        f"{runs['dom'][0]['parameters']:,}",
        str(len(runs["dom"])),
        mean_text([one["accuracy"][-1] for one in runs["plain"]]),
        _difference(rounds[-1]),
        f"{_difference(worst)} (round {worst.number})",
        below or "none",
        _variances(runs["dom"]),
        f"{factor(runs['dom']):.1f} x",
        f"{factor(runs['lossless']):.1f} x",
    ]


def _difference(one: Round) -> str:
    return f"{one.difference:+.1f} ± {one.error:.1f}"


def _variances(runs: Runs) -> str:
    seen = [one["running_variances"] for one in runs if one["running_variances"]["count"]]
    return f"{min(one['least'] for one in seen):.1g}" if seen else ""


def below_and_above(found: Found) -> str:
    """Count the rounds of all networks that are below the spread, and as a control those above it."""
    rounds = [one for name, runs in found["networks"].items() for one in rounds_of(name, runs)]
    below, above = sum(one.is_below for one in rounds), sum(one.is_above for one in rounds)
    mean = statistics.mean(one.difference for one in rounds)
    return (
        f"Rounds of all networks: {len(rounds)}. Below the spread: {below}. Above it, by the same rule: {above}.\n"
        "  If all differences were chance, about as many would be above as below.\n"
        f"  The mean difference over all rounds is {mean:+.2f} points."
    )


def negative(found: Found) -> str:
    """Tell how many running variances arrived at nodes and server over DoM, and how many of them were below 0."""
    seen = [one["running_variances"] for runs in found["networks"].values() for one in runs["dom"]]
    bad, count = sum(one["negative"] for one in seen), sum(one["count"] for one in seen)
    least = min((one["least"] for one in seen if one["count"]), default=0.0)
    return (
        f"Over DoM, {count:,} running variances arrived at the nodes and the server.\n"
        f"  {bad:,} of them were below 0; the least was {least:.2g}."
    )


def equal_runs(found: Found) -> str:
    """Tell how many lossless runs had plain Flower's accuracy in every round."""
    pairs = [
        (a["accuracy"], b["accuracy"])
        for runs in found["networks"].values()
        for a, b in zip(runs["plain"], runs["lossless"], strict=False)
    ]
    equal = sum(a == b for a, b in pairs)
    return f"With `DomConfig(lossless=True)`, {equal} of {len(pairs)} runs had plain Flower's accuracy in every round."


def text(found: Found) -> str:
    """Write the section."""
    seeds = ", ".join(map(str, found["seeds"]))
    return f"""This section shows whether a network trains over DoM as under plain Flower, in every round.
`python benchmarks/any_strategy networks OUT --seeds {seeds.replace(" ", "")}` measures it.

The strategy is FedAvg with {NODES} nodes and {found["rounds"]} rounds, without Ray. Each label's examples are dealt to the
nodes in shares from a Dirichlet distribution (concentration {SKEW:g}). Both runs of a pair have the same seed, so they have
the same start, shares and batches. The seeds are {seeds}. With learning rate 0.1, small differences grow, so these
networks have two runs for each seed. The drawn table has features in units from 0.001 to 1,000. The documents have 2,000
words whose frequencies follow Zipf's law, and only rare words tell the topic. The frozen CNN body was trained on the
digits 0-4, the frozen embedding on other documents.

- *Plain Flower*: test accuracy after the last round, mean ± standard deviation over the runs.
- *Last round*, *worst round*: DoM with its defaults minus plain Flower in points, mean over the pairs ± its standard
  error. The worst round is the one with the lowest mean.
- A round is *below the spread* if this mean is lower than minus the largest of three numbers: the standard deviation of
  plain Flower over the runs in that round, two standard errors of the mean, and one test example.
- *Least running variance*: of all that BatchNorm layers received, at the nodes and at the server.
- *Bytes*: what plain Flower sends, divided by what DoM sends.

{table(found)}
- {below_and_above(found)}
- {negative(found)}
- {equal_runs(found)}

![Accuracy over rounds, a panel for each network](images/{PICTURE})

Lines are means over the runs; bands are one standard deviation to each side."""


def plot(found: Found, path: Path) -> None:
    """Draw accuracy over rounds, a panel for each network."""
    networks = found["networks"]
    height = math.ceil(len(networks) / COLUMNS)
    figure = Figure((3.1 * COLUMNS, 2.4 * height), layout="constrained")
    panels = list(figure.subplots(height, COLUMNS, squeeze=False).flat)
    for name, axes in zip(networks, panels, strict=False):
        _panel(axes, NETWORKS[name].title, networks[name])
    for axes in panels[len(networks) :]:
        axes.set_visible(False)
    panels[0].legend(frameon=False, fontsize=8, loc="lower right")
    figure.supxlabel("round", fontsize=9)
    figure.supylabel("test accuracy, %", fontsize=9)
    figure.savefig(path, dpi=110)


def _panel(axes: Axes, title: str, runs: dict[str, Runs]) -> None:
    for codec, label, colour, thickness in (("plain", "plain Flower", "#0b6e8f", 2.4), ("dom", "DoM", "#b3541e", 1.2)):
        rounds = _by_round(runs[codec])
        numbers = range(1, len(rounds) + 1)
        means, widths = [statistics.mean(one) for one in rounds], [_deviation(one) for one in rounds]
        axes.plot(numbers, means, color=colour, label=label, linewidth=thickness)
        low = [mean - width for mean, width in zip(means, widths, strict=True)]
        high = [min(100.0, mean + width) for mean, width in zip(means, widths, strict=True)]
        axes.fill_between(numbers, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.set_title(title, fontsize=8, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
