"""A study as data: tables of points, each a setting and what is shown of its result."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from fedretina.study.setting import Setting
from fedretina.study.store import Numbers

Results = Mapping[Setting, Numbers]


@dataclass(frozen=True)
class Point:
    """One cell of a table.

    Parameters
    ----------
    setting : Setting
        What is measured; its seed is replaced by each of the study's.
    metrics : tuple of str, default ("mAP", "rank1")
        What of the result is shown.
    paper : tuple of float, default ()
        The paper's numbers for it; empty where it prints none.
    """

    setting: Setting
    metrics: tuple[str, ...] = ("mAP", "rank1")
    paper: tuple[float, ...] = ()

    def values(self, results: Results, seeds: Sequence[int]) -> list[tuple[float, ...]]:
        """Take the metrics out of the results, a tuple a seed; a seed that was not measured is left out."""
        found = [results.get(replace(self.setting, seed=seed)) for seed in seeds]
        return [tuple(numbers[name] for name in self.metrics) for numbers in found if numbers is not None]


@dataclass(frozen=True)
class Grid:
    """One table, and how it is drawn.

    Parameters
    ----------
    title, corner : str
        Over the table, and over its rows' names.
    points : mapping of (row, column) to Point
        In the order of rows and columns; cells may be missing.
    axis : str, default ""
        What the columns are, below the plot.
    kind : {"lines", "bars"}, default "bars"
        Lines run over the columns that are numbers; bars stand for rows.
    measure : str, default "mAP in %"
        What the plot shows: the first metric.
    scale : {"linear", "log"}, default "linear"
        Of the lines' x axis.
    digits : int, default 1
        After the point, in the table.
    """

    title: str
    corner: str
    points: Mapping[tuple[str, str], Point]
    axis: str = ""
    kind: Literal["lines", "bars"] = "bars"
    measure: str = "mAP in %"
    scale: Literal["linear", "log"] = "linear"
    digits: int = 1

    @property
    def rows(self) -> list[str]:
        """Names of the rows."""
        return list(dict.fromkeys(row for row, _ in self.points))

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return list(dict.fromkeys(column for _, column in self.points))

    @property
    def places(self) -> dict[str, float]:
        """The columns that are numbers: where lines have their points."""
        return {column: float(column) for column in self.columns if column.replace(".", "", 1).isdigit()}


@dataclass(frozen=True)
class Study:
    """Some tables that answer one question.

    Parameters
    ----------
    name, title : str
        Of the command, and over the page.
    question : str
        What is asked, in a sentence or two.
    grids : tuple of Grid
        The tables.
    notes : tuple of str
        What a reader must know to read them.
    """

    name: str
    title: str
    question: str
    grids: tuple[Grid, ...]
    notes: tuple[str, ...] = ()

    def settings(self, seeds: Sequence[int]) -> list[Setting]:
        """List what must be measured, each once, seed by seed: after the first seed all tables are filled."""
        return list(dict.fromkeys(replace(p.setting, seed=seed) for seed in seeds for p in self._points()))

    def _points(self) -> Iterator[Point]:
        for grid in self.grids:
            yield from grid.points.values()
