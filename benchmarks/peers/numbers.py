"""Numbers of the page: scores by cell, and paired differences with standard errors."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from scipy.stats import kendalltau

from fedretina.study import Setting, Store, mean_and_error, mean_text

Make = Callable[[Setting], Setting]


@dataclass(frozen=True)
class Difference:
    """The mean of paired differences and its standard error; None for a single pair."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean."""
        return mean_and_error(self.values)[0]

    @property
    def error(self) -> float | None:
        """The standard error."""
        return mean_and_error(self.values)[1]

    @property
    def verdict(self) -> str:
        """Say whether the difference is more than two standard errors from 0."""
        if self.error is None:
            return "one pair"
        if abs(self.mean) <= 2 * self.error:
            return "not shown"
        return "better" if self.mean > 0 else "worse"

    def __str__(self) -> str:
        """Write the mean and the standard error."""
        return mean_text(self.values, "+.1f", error=True)


class Scores:
    """The stored cells of some data.

    Parameters
    ----------
    store : Store
        The cells.
    metric : str
        The metric that is compared.
    """

    def __init__(self, store: Store, metric: str) -> None:
        self.store, self.metric = store, metric

    def of(self, setting: Setting, metric: str = "") -> float | None:
        """Read a metric of a cell; None if it was not measured."""
        return (self.store.load(setting) or {}).get(metric or self.metric)

    def values(self, settings: Iterable[Setting], metric: str = "") -> list[float]:
        """Read a metric of the cells that were measured."""
        return [value for setting in settings if (value := self.of(setting, metric)) is not None]

    def text(self, settings: Iterable[Setting], metric: str = "", form: str = ".1f") -> str:
        """Write the mean and its standard error; empty if nothing was measured."""
        values = self.values(settings, metric)
        return mean_text(values, form, error=True) if values else ""

    def difference(self, bases: Sequence[Setting], one: Make, other: Make) -> Difference | None:
        """Pair two recipes on the bases on which both were measured."""
        values = self.differences(bases, one, other)
        return Difference(values) if values else None

    def differences(self, bases: Sequence[Setting], one: Make, other: Make) -> tuple[float, ...]:
        """Subtract the second recipe's score from the first one's where both were measured."""
        pairs = ((self.of(one(base)), self.of(other(base))) for base in bases)
        return tuple(a - b for a, b in pairs if a is not None and b is not None)


def correlations(facts: Sequence[Sequence[float]], names: Sequence[str]) -> dict[str, float]:
    """Compute Kendall's tau of each named number with the gain; a row of `facts` has the gain, then the numbers.

    Examples
    --------
    >>> correlations([(1.0, 5.0), (2.0, 4.0), (3.0, 3.0)], ["risk"])
    {'risk': -1.0}
    """
    gains, *numbers = map(list, zip(*facts, strict=True))
    return {name: float(kendalltau(values, gains).statistic) for name, values in zip(names, numbers, strict=True)}
