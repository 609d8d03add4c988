"""Tables of studies and benchmarks: Markdown, means and standard deviations."""

import statistics
from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a Markdown table, with a line break at the end.

    Parameters
    ----------
    head : sequence of str
        Names of the columns.
    rows : iterable of sequence of str
        The cells of each row.

    Examples
    --------
    >>> print(table(["a", "b"], [["1", "2"]]), end="")
    | a | b |
    |---|---|
    | 1 | 2 |
    """
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|", *("| " + " | ".join(row) + " |" for row in rows)]
    return "\n".join(lines) + "\n"


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float | None]:
    """Compute the mean and the standard deviation; the deviation is None for one value.

    Examples
    --------
    >>> mean_and_deviation([1.0, 3.0]), mean_and_deviation([2.0])
    ((2.0, 1.4142135623730951), (2.0, None))
    """
    deviation = statistics.stdev(values) if len(values) > 1 else None
    return statistics.fmean(values), deviation


def mean_and_error(values: Sequence[float]) -> tuple[float, float | None]:
    """Compute the mean and its standard error, the deviation / sqrt(n); the error is None for one value.

    Examples
    --------
    >>> mean_and_error([1.0, 3.0]), mean_and_error([2.0])
    ((2.0, 1.0), (2.0, None))
    """
    mean, deviation = mean_and_deviation(values)
    return mean, None if deviation is None else deviation / len(values) ** 0.5


def mean_text(values: Sequence[float], form: str = ".1f", *, deviation_form: str = "", error: bool = False) -> str:
    """Write the mean and, for two values or more, the standard deviation.

    Parameters
    ----------
    values : sequence of float
        The values, at least one.
    form : str, default ".1f"
        Format of the mean, as for `format`.
    deviation_form : str, default ""
        Format of the deviation. Default: as the mean, without a sign.
    error : bool, default False
        Write the mean's standard error (deviation / sqrt(n)) instead of the deviation.

    Examples
    --------
    >>> mean_text([97.0, 98.0, 99.0]), mean_text([-1.0], "+.1f"), mean_text([1.0, 2.0, 3.0], "+.2f", error=True)
    ('98.0 ± 1.0', '-1.0', '+2.00 ± 0.58')
    """
    mean, spread = mean_and_error(values) if error else mean_and_deviation(values)
    if spread is None:
        return format(mean, form)
    return f"{mean:{form}} ± {spread:{deviation_form or form.removeprefix('+')}}"
