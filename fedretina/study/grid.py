"""A study as data: tables of cells. A cell has a setting and the metrics that are shown."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from fedretina.study.setting import Setting
from fedretina.study.store import Metrics

Results = Mapping[Setting, Metrics]


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Parameters
    ----------
    setting : Setting
        What is measured. Its seed is replaced by each seed of the study.
    metrics : tuple of str, default ("mAP", "rank1")
        The metrics that are shown.
    paper : tuple of float, default ()
        The paper's numbers for these metrics; empty if it prints none.
    """

    setting: Setting
    metrics: tuple[str, ...] = ("mAP", "rank1")
    paper: tuple[float, ...] = ()

    def values(self, results: Results, seeds: Sequence[int]) -> list[tuple[float, ...]]:
        """Give the shown metrics, one tuple per seed; seeds that were not measured are left out."""
        found = [results.get(replace(self.setting, seed=seed)) for seed in seeds]
        return [tuple(measured[name] for name in self.metrics) for measured in found if measured is not None]


@dataclass(frozen=True)
class Grid:
    """One table, and how it is plotted.

    Parameters
    ----------
    title, row_header : str
        The table's title, and the header above the names of its rows.
    cells : mapping of (row, column) to Cell
        The cells, in the order of rows and columns; some may be missing.
    axis : str, default ""
        The meaning of the columns, for the plot.
    kind : {"lines", "bars"}, default "bars"
        "lines": one line per row, over the columns that are numbers. "bars": one group of bars per row.
    metric : str, default "mAP in %"
        The name of the first metric, which the plot shows.
    scale : {"linear", "log"}, default "linear"
        Scale of the lines' x axis.
    digits : int, default 1
        Decimals in the table.
    """

    title: str
    row_header: str
    cells: Mapping[tuple[str, str], Cell]
    axis: str = ""
    kind: Literal["lines", "bars"] = "bars"
    metric: str = "mAP in %"
    scale: Literal["linear", "log"] = "linear"
    digits: int = 1

    @property
    def rows(self) -> list[str]:
        """Names of the rows."""
        return list(dict.fromkeys(row for row, _ in self.cells))

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return list(dict.fromkeys(column for _, column in self.cells))

    @property
    def numeric_columns(self) -> dict[str, float]:
        """The columns that are numbers, with their values."""
        return {column: float(column) for column in self.columns if column.replace(".", "", 1).isdigit()}


@dataclass(frozen=True)
class Study:
    """Tables that answer one question.

    Parameters
    ----------
    name, title : str
        The name in the command, and the title of the page.
    question : str
        The question, in one or two sentences.
    grids : tuple of Grid
        The tables.
    notes : tuple of str
        What a reader must know to understand them.
    """

    name: str
    title: str
    question: str
    grids: tuple[Grid, ...]
    notes: tuple[str, ...] = ()

    def settings(self, seeds: Sequence[int]) -> list[Setting]:
        """List the settings to measure, each once. All settings of one seed come before those of the next seed."""
        return list(dict.fromkeys(replace(cell.setting, seed=seed) for seed in seeds for cell in self._cells()))

    def _cells(self) -> Iterator[Cell]:
        for grid in self.grids:
            yield from grid.cells.values()
