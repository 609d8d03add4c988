"""What an app of this benchmark is."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any

import numpy as np
from flwr.app import Context, Message
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid

Array = np.ndarray[Any, Any]
Mod = Callable[[Message, Context, Callable[[Message, Context], Message]], Message]


@dataclass(frozen=True)
class Setting:
    """One run: its seed, and how many rounds and nodes it has."""

    seed: int
    rounds: int
    nodes: int


@dataclass(frozen=True)
class Result:
    """What the server's code ends with: a metric for each round, and the final arrays."""

    metrics: Sequence[float]
    arrays: Mapping[str, Array]


@dataclass(frozen=True, kw_only=True)
class App:
    """A Flower app: a ClientApp that takes mods, and a server that takes a grid.

    Parameters
    ----------
    name, title : str
        For files and options; for the page.
    metric : str
        What `Result.metrics` holds, with its unit.
    client : callable
        Makes the ClientApp with the given mods first.
    server : callable
        Runs all rounds.
    exact : tuple of str, default ()
        Patterns of the array records that must arrive bit for bit, as "up train/gradients" or "* */statistics".
        Config and metric records must in every app.
    same_result : bool, default False
        Whether the metrics and the final arrays must be equal to those of plain Flower, bit for bit.
    nodes, rounds, seeds : int
        How large a run is, and how many seeds are measured.
    quick_rounds : int, default 4
        Rounds with `--quick`.
    """

    name: str
    title: str
    metric: str
    client: Callable[[Sequence[Mod], Setting], ClientApp]
    server: Callable[[Grid, Setting], Result]
    exact: tuple[str, ...] = ()
    same_result: bool = False
    nodes: int = 6
    rounds: int = 12
    seeds: int = 3
    quick_rounds: int = 4

    def setting(self, seed: int, *, quick: bool = False) -> Setting:
        """Give the setting of a run."""
        return Setting(seed, self.quick_rounds if quick else self.rounds, self.nodes)

    def is_exact(self, place: str) -> bool:
        """Tell whether an array record must arrive bit for bit; `place` is "direction type/record"."""
        return any(fnmatch(place, pattern) for pattern in self.exact)
