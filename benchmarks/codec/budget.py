"""Rate control: budgets asked, and the bytes and errors that came."""

from collections.abc import Iterator
from dataclasses import dataclass

from codec.update import Update
from fedretina.dom import DomConfig, Version, publish

_BITS = (0.2, 1.0, 3.0)


@dataclass(frozen=True)
class Spent:
    """One budget: bytes asked and taken, and the error that they bought, over matrices."""

    lattice: bool
    asked: int
    taken: int
    error: float


def spend(update: Update) -> Iterator[Spent]:
    """Ask for several budgets, off the lattice and on it."""
    base = Version.of(update.base)
    for lattice in (False, True):
        for bits in _BITS:
            asked = int(bits * update.weights / 8)
            made = publish(update.new, base=base, config=DomConfig(budget_bytes=asked, lattice=lattice))
            yield Spent(lattice, asked, len(made.payload), update.error(made.version.model))
