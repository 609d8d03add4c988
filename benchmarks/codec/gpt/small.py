"""Small tensors: adapters beside the entropy of their integers, headers, and the time that a small tensor takes."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from codec.entropy import entropy
from codec.schemes.integers import to_integers
from codec.update import Array, Model, Update
from fedretina.dom import DomConfig, Effort, decode, encode, inspect

STEPS = (0.5, 1.0, 2.0)
EFFORTS: tuple[Effort, ...] = ("fast", "balanced", "small")
TENSORS, SIDE, RUNS = 2000, 16, 5


@dataclass(frozen=True)
class Coded:
    """Adapters with one step, in multiples of the differences' RMS.

    `entropy` is that of one histogram over all tensors, in bits a weight; names, shapes and tables cost nothing there.
    `rounding` is the error of plain rounding, which that entropy belongs to. `header` is in bytes a tensor.
    """

    step: float
    effort: str
    bpw: float
    error: float
    entropy: float
    rounding: float
    header: float


@dataclass(frozen=True)
class Timed:
    """How long a small tensor takes in ms, with one thread: encoded, and decoded."""

    way: str
    effort: str
    encode: float
    decode: float
    header: float


def code_adapters(update: Update) -> Iterator[Coded]:
    """Code the differences with some steps and efforts."""
    for factor in STEPS:
        step = factor * update.rms
        integers = np.concatenate([to_integers(values, step).reshape(-1) for values in update.delta.values()])
        rounded = {name: _rounded(update, name, step) for name in update.new}
        for effort in EFFORTS:
            payload = encode(update.new, base=update.base, config=DomConfig(step=step, effort=effort))
            yield Coded(
                factor,
                effort,
                update.bits_per_weight(len(payload)),
                update.error(decode(payload, base=update.base)),
                entropy(integers) / integers.size,
                update.error(rounded),
                _header(payload, update),
            )


def time_small(update: Update) -> Iterator[Timed]:
    """Cut an update into many small tensors, and time them."""
    parts = {name: np.concatenate([model[name].reshape(-1) for name in update.delta]) for name, model in _both(update)}
    count = min(TENSORS, update.weights // SIDE**2)
    cut = {
        part: {f"{number:04}": values[number * SIDE**2 :][: SIDE**2].reshape(SIDE, SIDE) for number in range(count)}
        for part, values in parts.items()
    }
    small = Update("small", cut["base"], cut["new"])
    ways = [("equal errors", DomConfig()), ("one step of 1 RMS", DomConfig(rms_step=1.0))]
    for (way, config), effort in product(ways, EFFORTS):
        times = []
        for _ in range(RUNS):
            start = time.perf_counter()
            payload = encode(small.new, base=small.base, config=replace(config, effort=effort), threads=1)
            middle = time.perf_counter()
            decode(payload, base=small.base, threads=1)
            times.append((middle - start, time.perf_counter() - middle))
        encoded, decoded = (1e3 * min(column) / count for column in zip(*times, strict=True))
        yield Timed(way, effort, encoded, decoded, _header(payload, small))


def _both(update: Update) -> tuple[tuple[str, Model], ...]:
    return ("base", update.base), ("new", update.new)


def _rounded(update: Update, name: str, step: float) -> Array:
    return update.base[name] + to_integers(update.delta[name], step) * np.float32(step)


def _header(payload: bytes, update: Update) -> float:
    """Return the bytes beside the tensors' own, for each tensor."""
    found = inspect(payload, base=update.base)
    return (len(payload) - sum(tensor.bytes for tensor in found.tensors)) / len(found.tensors)
