"""A run of the city, on any grid: writes its folder, prints a line a round, draws its page."""

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from flwr.serverapp import Grid

from fedretina.flower import PayloadRelay, ProcessGrid, SignedRelay
from fedretina.ledger import Ledger
from fedretina.report import build_city
from fedretina.runs import City, CityDomain, RunFolder, write_city
from fedretina.strategies.mutual_reuse import MutualReuse, Turn, positions
from fedretina.trust import SERVER
from settings_city import (
    Task,
    check,
    links_of,
    node_settings,
    reuse_of,
    selection_of,
    task_of,
    training_of,
    trusted_city,
)

Say = Callable[[str], None]
RUN = "run-name"


@contextmanager
def chosen_grid(config: Mapping[str, Any], grid: Grid | None) -> Iterator[Grid]:
    """Yield Flower's grid, or a pool of processes."""
    if config["engine"] == "flower" and grid is not None:
        yield grid
        return
    processes = int(config["processes"]) or None
    here = str(Path(__file__).parent)
    with ProcessGrid("client_app:app", int(config["domains"]), processes=processes, paths=[here]) as pool:
        yield pool


def run(config: Mapping[str, Any], grid: Grid | None, *, say: Say, on_turn: Callable[[Turn], None] | None = None) -> City:
    """Run a city, or the rest of an interrupted one.

    Parameters
    ----------
    config : mapping
        The values of pyproject.toml, with the user's.
    grid : Grid or None
        Flower's grid, for the engine "flower".
    say : callable
        Prints a line.
    on_turn : callable, optional
        Called after each turn.

    Returns
    -------
    City
        The run's results, as in its folder.
    """
    folder = RunFolder.open(str(config["out"]), str(config["resume"]))
    if config["resume"]:
        # How a run is computed changes no number, so it may change.
        given = {key: config[key] for key in ("engine", "processes")}
        config, unused = folder.resumed(config, own=[RUN])
        config |= given
        if unused := [key for key in unused if key not in given]:
            say(f"a resumed run keeps its configuration; not used: {', '.join(unused)}")
    check(config)
    if not config["resume"]:
        config = {**config, RUN: uuid.uuid4().hex}
        folder.begin(config)
    task = task_of(config)
    progress = Progress(task.metric, int(config["domains"]), int(config["turns"]), say)

    def after(turn: Turn) -> None:
        progress.add(turn)
        if on_turn is not None:
            on_turn(turn)

    folder.ledger.unlink(missing_ok=True)  # a resumed run writes all its rows again, from the journal
    with Ledger(folder.ledger, keep_rows=False) as ledger:
        strategy = MutualReuse(
            task.names,
            training_of(config),
            reuse_of(config),
            run=str(config[RUN]),
            selection=selection_of(config),
            links=links_of(config),
            settings=node_settings(config),
            relay=relay_of(config, folder),
            metric=task.metric,
            journal=folder.path / "replies",
            ledger=ledger,
            on_turn=after,
        )
        try:
            with chosen_grid(config, grid) as nodes:
                turns = strategy.start(nodes)
        except KeyboardInterrupt:
            say(f"interrupted; go on with resume={str(folder.path)!r}")
            raise
    city = city_of(task, strategy, turns)
    write_city(folder.path, city)
    say(f"the page: {build_city(folder.path)}")
    return city


def relay_of(config: Mapping[str, Any], folder: RunFolder) -> PayloadRelay:
    """Make the relay. With trust, the server forgets all versions first: a resumed run reads all replies again."""
    city = trusted_city(config)
    if city is None:
        return PayloadRelay()
    identity = folder.path / "server"
    (identity / "memory.json").unlink(missing_ok=True)
    return SignedRelay(city.identity(identity, SERVER))


def city_of(task: Task, strategy: MutualReuse, turns: list[Turn]) -> City:
    """Summarise the run for its page."""
    places = positions(strategy.choice.sketches)
    domains = []
    for name, link in strategy.links.items():
        domains.append(CityDomain(name, task.district(name), *places.get(name, (0.0, 0.0)), link.down, link.up))
    return City(task.metric, domains, [asdict(turn) for turn in turns])


@dataclass
class Progress:
    """Prints a line when as many turns are over as a round has."""

    metric: str
    domains: int
    rounds: int
    say: Say
    began: float = field(default_factory=time.monotonic)
    over: int = 0
    bytes: int = 0
    last: dict[str, float] = field(default_factory=dict)

    def add(self, turn: Turn) -> None:
        """Count a turn."""
        self.over += 1
        self.bytes += turn.down + turn.up
        if not turn.error:
            self.last[turn.domain] = turn.metrics[self.metric]
        if self.over % self.domains == 0:
            self.say(self._line(turn.end))

    def _line(self, simulated: float) -> str:
        number, passed = self.over // self.domains, time.monotonic() - self.began
        left = passed / number * (self.rounds - number)
        mean = sum(self.last.values()) / max(1, len(self.last))
        return (
            f"round {number}/{self.rounds}: {self.metric} {mean:.2f}, {self.bytes / 1e6:.2f} MB, "
            f"simulated {simulated / 3600:.2f} h; {passed:.0f} s, about {left:.0f} s left"
        )
