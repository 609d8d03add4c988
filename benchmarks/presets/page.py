"""The page: bytes and final metrics of every preset, beside plain Flower."""

import math
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from fedretina.dom import PRESETS, DomConfig
from fedretina.study import table
from presets.federation import NODES, Federation, Found

Runs = Mapping[str, Sequence[Found]]


@dataclass(frozen=True)
class Comparison:
    """A preset after the last round, minus plain Flower: the mean over the pairs, and what chance explains.

    `better` is positive where the preset is better. `spread` is the largest of plain Flower's standard deviation over the
    seeds, and two standard errors of the paired differences.
    """

    better: float
    spread: float

    @classmethod
    def of(cls, federation: Federation, plain: Sequence[Found], coded: Sequence[Found]) -> "Comparison":
        """Compare runs of the same seeds."""
        last, other = ([run["scores"][-1] for run in runs] for runs in (plain, coded))
        differences = [federation.sign * (b - a) for a, b in zip(last, other, strict=True)]
        error = _deviation(differences) / math.sqrt(len(differences))
        return cls(statistics.mean(differences), max(_deviation(last), 2 * error))

    @property
    def is_worse(self) -> bool:
        """Whether the preset is worse than the seeds' spread explains."""
        return self.better < -self.spread


def write(docs: Path, found: Mapping[str, tuple[Federation, Runs]], seeds: Sequence[int], *, only: str) -> None:
    """Write the page; `only` is the command's option."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), undefined=StrictUndefined, keep_trailing_newline=True
    )
    compared = [_compared(*one) for one in found.values()]
    page = environment.get_template("page.md.j2").render(
        about={name: metadata.version(name) for name in ("fedretina", "torch", "flwr")} | {"machine": platform.machine()},
        seeds=", ".join(map(str, seeds)),
        nodes=NODES,
        only=f" --only {only}" if only else "",
        presets=_presets(),
        scores=_scores(found),
        sizes=_sizes(found),
        worse=sum(one.is_worse for some in compared for one in some.values()),
        count=sum(map(len, compared)),
    )
    docs.mkdir(parents=True, exist_ok=True)
    (docs / "presets.md").write_text(page, encoding="utf-8")


def _compared(federation: Federation, runs: Runs) -> dict[str, Comparison]:
    return {name: Comparison.of(federation, runs["plain"], runs[name]) for name in PRESETS}


def _presets() -> str:
    rows = [
        [f"`{name}`", *(_settings(config) for config in (preset.up, preset.down, preset.down_without_feedback))]
        for name, preset in PRESETS.items()
    ]
    return table(["preset", "up", "down, with `feedback_down`", "down, without"], rows)


def _settings(config: DomConfig) -> str:
    default = vars(DomConfig())
    return ", ".join(f"`{name}={value!r}`" for name, value in vars(config).items() if value != default[name])


def _scores(found: Mapping[str, tuple[Federation, Runs]]) -> str:
    rows = [_score_row(*one) for one in found.values()]
    return table(["federation", "metric", "rounds", "plain Flower", *PRESETS], rows)


def _score_row(federation: Federation, runs: Runs) -> list[str]:
    digits = 4 if federation.sign < 0 else 1
    last = [run["scores"][-1] for run in runs["plain"]]
    plain = f"{statistics.mean(last):.{digits}f} ± {_deviation(last):.{digits}f}"
    return [
        federation.title,
        federation.metric,
        str(federation.rounds),
        plain,
        *(_difference(federation, one, digits) for one in _compared(federation, runs).values()),
    ]


def _difference(federation: Federation, one: Comparison, digits: int) -> str:
    text = f"{federation.sign * one.better:+.{digits}f} (± {one.spread:.{digits}f})"
    return f"**{text}**" if one.is_worse else text


def _sizes(found: Mapping[str, tuple[Federation, Runs]]) -> str:
    rows = [_size_row(*one) for one in found.values()]
    return table(["federation", "float values", *(f"{name}: up, down, all" for name in PRESETS)], rows)


def _size_row(federation: Federation, runs: Runs) -> list[str]:
    return [federation.title, f"{runs['plain'][0]['weights']:,}", *(_sizes_of(runs[name]) for name in PRESETS)]


def _sizes_of(runs: Sequence[Found]) -> str:
    """Write the mean bits per weight of later rounds, up and down, and plain Flower's bytes over all that were sent."""
    bits = [_bits(runs, direction) for direction in ("up", "down")]
    raw, wire = (sum(run[key] for run in runs) for key in ("raw_bytes", "wire_bytes"))
    return f"{bits[0]:.2f}, {bits[1]:.2f}, {raw / wire:.1f} x"


def _bits(runs: Sequence[Found], direction: str) -> float:
    total = sum(run[f"later_{direction}"] for run in runs)
    messages = sum(run[f"later_{direction}_messages"] * run["weights"] for run in runs)
    return float(8 * total / messages)


def _deviation(values: Sequence[float]) -> float:
    return statistics.stdev(values) if len(values) > 1 else 0.0
