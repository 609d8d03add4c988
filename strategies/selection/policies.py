"""Policies: each ranks the candidates of a target, the best first."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from fedretina.strategies.selection.evidence import Evidence

Policy = Callable[[Sequence[str], Mapping[str, Evidence], np.random.Generator], list[str]]
"""From the candidates' names, what is known of them, and random numbers, to the names with the best first."""

EXPLORATION = 0.2
"""How much of a risk's range the uncertainty after one trial counts for."""
SIMILAR = 3
"""The risk of a candidate that was never tried is guessed from so many that were."""


def in_order(names: Sequence[str], evidence: Mapping[str, Evidence], rng: np.random.Generator) -> list[str]:
    """Rank by name."""
    return sorted(names)


def at_random(names: Sequence[str], evidence: Mapping[str, Evidence], rng: np.random.Generator) -> list[str]:
    """Rank in a random order, which depends on the generator and the names alone."""
    return [str(name) for name in rng.permutation(sorted(names))]


def by_distance(names: Sequence[str], evidence: Mapping[str, Evidence], rng: np.random.Generator) -> list[str]:
    """Rank by the distance of sketches; candidates without one come last."""
    return _rank(names, lambda name: evidence[name].distance, evidence, rng)


def by_score(names: Sequence[str], evidence: Mapping[str, Evidence], rng: np.random.Generator) -> list[str]:
    """Rank by the score, the highest first; candidates without one come last, the nearest first."""
    return _rank(names, lambda name: _negative(evidence[name].score), evidence, rng)


def by_gain(names: Sequence[str], evidence: Mapping[str, Evidence], rng: np.random.Generator) -> list[str]:
    """Rank by the gain that is known afterwards."""
    return _rank(names, lambda name: _negative(evidence[name].gain), evidence, rng)


def by_bound(names: Sequence[str], evidence: Mapping[str, Evidence], rng: np.random.Generator) -> list[str]:
    """Rank by the lowest risk that a candidate may have: the mean so far, less an uncertainty.

    Theorem 1's bound falls with the risks R_m of the models that are used. The uncertainty shrinks with the number of trials
    of a candidate and grows slowly with that of all (UCB1: Auer, Cesa-Bianchi and Fischer, 2002). A candidate that was never
    tried is taken to be like those that were, at a similar distance of sketches. If its distance is unknown, it comes first.
    """
    trials = sum(len(evidence[name].risks) for name in names)
    means = {name: sum(evidence[name].risks) / len(evidence[name].risks) for name in names if evidence[name].risks}
    known = [(distance, means[name]) for name in sorted(means) if (distance := _distance(evidence[name])) < math.inf]

    def lowest(name: str) -> float:
        distance, tried = _distance(evidence[name]), len(evidence[name].risks)
        if name not in means and (distance == math.inf or not known):
            return -math.inf
        mean = means[name] if tried else _mean_at(distance, known)
        return mean - EXPLORATION * math.sqrt(2 * math.log(trials) / max(1, tried))

    return _rank(names, lowest, evidence, rng)


POLICIES: dict[str, Policy] = {
    "all": in_order,
    "random": at_random,
    "nearest": by_distance,
    "score": by_score,
    "bound": by_bound,
    "oracle": by_gain,
}


def _rank(
    names: Sequence[str],
    key: Callable[[str], float | None],
    evidence: Mapping[str, Evidence],
    rng: np.random.Generator,
) -> list[str]:
    """Sort by a key, the least first, those without a key (or with NaN) last. Equal ones: by distance, then at random."""
    mixed = at_random(names, {}, rng)

    def order(name: str) -> tuple[bool, float, float]:
        value = key(name)
        unknown = value is None or math.isnan(value)
        return (unknown, 0.0 if unknown or value is None else value, _distance(evidence[name]))

    return sorted(mixed, key=order)


def _distance(evidence: Evidence) -> float:
    """Return the distance of the sketches; infinity if it is unknown."""
    return math.inf if evidence.distance is None or math.isnan(evidence.distance) else evidence.distance


def _mean_at(distance: float, known: Sequence[tuple[float, float]]) -> float:
    """Return the mean risk of the known candidates whose distances come nearest to one."""
    near = sorted(known, key=lambda entry: abs(entry[0] - distance))[:SIMILAR]
    return sum(risk for _, risk in near) / len(near)


def _negative(value: float | None) -> float | None:
    return None if value is None else -value
