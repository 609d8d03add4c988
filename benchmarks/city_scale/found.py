"""What the page shows of the stored results of the policy study: numbers by seed, paired where two cells share it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

from scipy.stats import t

from city_scale.cells import TRAINING, bad_domains
from fedretina.study import Results, mean_and_error

Measured = Mapping[str, Any]
Of = Callable[[Measured], float]
Kind = tuple[str, int, str] | tuple[str, int, str, bool, int]
"""Policy, budget, what bad domains do, whether there is trust (by default not), and the number of turns (by default 3)."""


@dataclass(frozen=True)
class Cells:
    """The stored cells of the policy study."""

    by_key: Mapping[tuple[str, int, str, bool, int, int], Measured]

    @classmethod
    def load(cls, folder: Path) -> "Cells":
        """Read all cells of a folder."""
        values = [entry.value for entry in Results(folder).entries()]
        cells = [{"trust": False} | value for value in values if "policy" in value]  # older ones have no key "trust"
        return cls({(v["policy"], v["budget"], v["bad"], v["trust"], len(v["turns"]), v["seed"]): v for v in cells})

    def seeds(self, policy: str, budget: int, bad: str = "", trust: bool = False, turns: int = TRAINING.rounds) -> list[int]:
        """List the seeds that were measured."""
        return sorted(key[-1] for key in self.by_key if key[:-1] == (policy, budget, bad, trust, turns))

    def rows(self, of: Of, *kind: Any) -> dict[int, float]:
        """Compute a number of each measured seed; the kind of cells is given as for `seeds`."""
        whole = (*kind, *("", False, TRAINING.rounds)[len(kind) - 2 :])
        return {seed: of(self.by_key[*whole, seed]) for seed in self.seeds(*whole)}

    def paired(self, of: Of, one: Kind, other: Kind) -> list[float]:
        """Subtract a number of one kind of cell from that of another, by seed."""
        first, second = self.rows(of, *one), self.rows(of, *other)
        return [first[seed] - second[seed] for seed in first if seed in second]


def accuracy(turn: int) -> Callable[[Measured], float]:
    """Return the mean accuracy of all domains after a turn, from 1."""
    return lambda cell: _mean(cell["turns"][turn - 1]["accuracy"].values())


def best_accuracy(cell: Measured) -> float:
    """Return the mean accuracy after the last turn."""
    return accuracy(len(cell["turns"]))(cell)


def honest_accuracy(cell: Measured) -> float:
    """Return the mean accuracy after the last turn of the domains that are honest in every city of the seed."""
    bad = bad_domains(cell["seed"])
    return _mean([value for name, value in cell["turns"][-1]["accuracy"].items() if name not in bad])


def refused_versions(*, bad: bool) -> Of:
    """Return how many versions of the bad tenth, or of the others, were not admitted in a run."""

    def count(cell: Measured) -> float:
        hostile = bad_domains(cell["seed"])
        refused = [pair for turn in cell["turns"] for pair in turn["refused"]]
        return sum((peer in hostile) == bad for domain, peer in refused if domain not in hostile)

    return count


def peer_bytes(cell: Measured) -> float:
    """Return the bytes that a domain got in its turns with peers, headers included."""
    return sum(row["down"] for row in cell["turns"][1:]) / len(cell["turns"][0]["accuracy"])


def bytes_after(turn: int) -> Callable[[Measured], float]:
    """Return the bytes that a domain has got when a turn is over, from 1."""
    return lambda cell: sum(row["down"] for row in cell["turns"][:turn]) / len(cell["turns"][0]["accuracy"])


def interval(values: Sequence[float]) -> float:
    """Return half of the 95 % confidence interval of a mean over seeds, by Student's t; infinite for a single seed."""
    error = mean_and_error(values)[1]
    return inf if error is None else float(t.ppf(0.975, len(values) - 1)) * error


def _mean(values: Any) -> float:
    numbers = list(values)
    return sum(numbers) / len(numbers)
