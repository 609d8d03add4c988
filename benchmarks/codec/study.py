"""All that the page tells: measured, or read where it has been measured before."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from codec import budget, feedback, memory, race, rates, skips
from codec.bars import Bar, memory_bars, rate_bars, speed_bars
from codec.measure import Point
from codec.pictures import Pictures
from codec.results import DOM, HERE, Results
from codec.roster import BITS, EFFORTS
from codec.update import Update
from codec.vectors import images


@dataclass(frozen=True)
class Plan:
    """How much is measured: on which vectors, in how many laps."""

    recipes: Sequence[images.Recipe]
    series: Sequence[images.Series]
    versions: int
    laps: int
    rounds: int
    quick: bool


def plan(*, quick: bool) -> Plan:
    """Return the whole plan, or one that takes a minute or two."""
    if quick:
        return Plan(images.QUICK, images.QUICK_SERIES, versions=4, laps=1, rounds=4, quick=True)
    return Plan(images.RECIPES, images.SERIES, images.VERSIONS, laps=3, rounds=feedback.ROUNDS, quick=False)


@dataclass(frozen=True)
class Measured:
    """What was measured on one update."""

    name: str
    weights: int
    rms: float
    points: Sequence[Point]
    floors: Mapping[str, Mapping[str, float]]
    laps: Mapping[int, Sequence[race.Lap]]
    memory: Mapping[str, Mapping[str, float]]
    spent: Sequence[budget.Spent]

    def bars(self) -> list[Bar]:
        """Return this vector's bars."""
        speeds = [bar for bits, laps in self.laps.items() for bar in speed_bars(self.name, bits, laps)]
        return [*rate_bars(self.name, self.points, self.floors), *speeds, *memory_bars(self.name, self.memory)]


@dataclass(frozen=True)
class Study:
    """Everything."""

    source: str
    updates: Sequence[Measured]
    histories: Mapping[str, skips.History]
    learnt: Sequence[feedback.Learnt]


def train(what: Plan, pictures: Pictures, folder: Path) -> None:
    """Train what has not been trained yet."""
    for recipe in what.recipes:
        images.train_pair(recipe, pictures, folder)
    for series in what.series:
        images.train_series(series, pictures, folder, versions=what.versions)


def study(what: Plan, folder: Path, *, source: str, results: Results) -> Study:
    """Measure what has not been measured yet."""
    return Study(
        source,
        [_measured(what, folder / recipe.name, results) for recipe in what.recipes],
        {series.name: _history(folder / series.name, results) for series in what.series},
        _learnt(what, results),
    )


def _measured(what: Plan, folder: Path, results: Results) -> Measured:
    update = Update.read(folder)
    return Measured(
        update.name,
        update.weights,
        update.rms,
        rates.measure_all(update, results, quick=what.quick),
        rates.floors(update, results),
        {bits: _laps(update, bits, what.laps, results) for bits in BITS},
        _memory(folder, results) if memory.is_measurable() else {},
        _spent(update, results),
    )


def _laps(update: Update, bits: int, laps: int, results: Results) -> list[race.Lap]:
    found = results.get(
        f"{update.name}/race-{bits}",
        lambda: [asdict(lap) for lap in race.race(update, bits, rounds=laps)],
        code=(DOM, HERE / "race.py", HERE / "schemes"),
        vectors=update.name,
    )
    return [race.Lap(**values) for values in found]


def _memory(folder: Path, results: Results) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = results.get(
        f"{folder.name}/memory",
        lambda: {effort: memory.peaks(folder, effort) for effort in EFFORTS},
        code=(DOM, HERE / "memory.py"),
        vectors=folder.name,
    )
    return found


def _spent(update: Update, results: Results) -> list[budget.Spent]:
    found = results.get(
        f"{update.name}/budget",
        lambda: [asdict(spent) for spent in budget.spend(update)],
        code=(DOM, HERE / "budget.py"),
        vectors=update.name,
    )
    return [budget.Spent(**values) for values in found]


def _history(folder: Path, results: Results) -> skips.History:
    found = results.get(
        folder.name, lambda: asdict(skips.history(folder)), code=(DOM, HERE / "skips.py"), vectors=folder.name
    )
    return skips.History(**found | {"skips": [skips.Skip(**values) for values in found["skips"]]})


def _learnt(what: Plan, results: Results) -> list[feedback.Learnt]:
    found = results.get(
        "feedback",
        lambda: [asdict(learnt) for learnt in feedback.learn(rounds=what.rounds)],
        code=(DOM, HERE / "feedback.py"),
        vectors="none",
    )
    return [feedback.Learnt(**values) for values in found]
