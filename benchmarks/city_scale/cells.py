"""One cell of the policy study: a whole run of the city in this process, by one policy under one budget."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flwr.app import RecordDict
from flwr.clientapp import ClientApp

from city_scale.gains import Gains
from city_task import CityTask, domain_names
from fedretina.dom import DomConfig, Model, ReferenceStore
from fedretina.flower import RelayedModels
from fedretina.strategies.mutual_reuse import LinkModel, MutualReuse, MutualReuseClient, Selection, Turn
from fedretina.strategies.peer_reuse import ReuseConfig, hosted_domains
from fedretina.testing import LocalGrid
from fedretina.train import Training
from poisoned.attacks import sign_flipped

TASK = CityTask(domains=100, districts=10)
TRAINING = Training(
    rounds=3, local_epochs=5, home_epochs=20, batch_size=32, lr=0.005, device="cpu", precision="float32"
)  # fmt: skip
CODEC = DomConfig(relative_error=0.25, keyframe_error=0.02)
BAD = 0.1


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A policy, its bytes of payload for a target and turn (0: no limit), what a tenth of the domains does, and the seed."""

    policy: str
    budget: int
    bad: str = ""
    seed: int = 0

    @property
    def name(self) -> str:
        """The cell's name in the store."""
        return f"{self.policy}-{self.budget}-{self.bad or 'good'}-{self.seed}"


def task_of(seed: int, bad: str = "") -> CityTask:
    """Return the city of a seed. Mislabelled domains have random labels; which ones depends on the seed alone."""
    return replace(TASK, seed=seed, bad=BAD if bad == "mislabelled" else 0.0)


def bad_domains(seed: int) -> set[str]:
    """Name the tenth of a city's domains that may be bad."""
    task = task_of(seed, "mislabelled")
    return {name for name in domain_names(task.domains) if task.is_bad(name)}


@dataclass(frozen=True)
class HostileModels(RelayedModels):
    """Publishes the models of hostile domains with all signs flipped."""

    hostile: frozenset[str] = frozenset()

    def publish(self, stream: str, model: Model, content: RecordDict) -> RecordDict:
        """Publish a version of a stream."""
        return super().publish(stream, sign_flipped(model) if stream in self.hostile else model, content)


def run(
    cell: Cell, folder: Path, *, rounds: int = TRAINING.rounds, gains: Gains | None = None
) -> tuple[MutualReuse, list[Turn]]:
    """Run a city; its models are kept under the folder."""
    task, training = task_of(cell.seed, cell.bad), replace(TRAINING, rounds=rounds, seed=cell.seed)
    hostile = bad_domains(cell.seed) if cell.bad == "sign-flipped" else set()
    models = HostileModels(ReferenceStore(folder), CODEC, frozenset(hostile))
    app = ClientApp()
    app.query("domains")(hosted_domains)
    app.train()(MutualReuseClient(task, folder, models, limits=None))
    true_gains = None if gains is None else lambda target, candidates: {name: gains.of(target)[name] for name in candidates}
    strategy = MutualReuse(
        domain_names(task.domains),
        training,
        ReuseConfig(gamma=0.3, committee=False),
        run="study",
        selection=Selection(policy=cell.policy, budget=cell.budget or None, true_gains=true_gains),
        links=LinkModel(),
    )
    return strategy, strategy.start(LocalGrid(app, 1))


def measure(cell: Cell, gains: Gains | None = None) -> dict[str, Any]:
    """Run a cell, and return by turn: the accuracy of each domain, the bytes that each got and sent, the simulated end."""
    with tempfile.TemporaryDirectory() as folder:
        _, turns = run(cell, Path(folder), gains=gains)
    if failed := [turn for turn in turns if turn.error]:
        raise SystemExit(f"{cell.name}: {len(failed)} turns failed, the first one: {failed[0].error}")
    return {"turns": [_row([turn for turn in turns if turn.number == n + 1]) for n in range(TRAINING.rounds)]}


def _row(turns: list[Turn]) -> Mapping[str, Any]:
    return {
        "accuracy": {turn.domain: turn.metrics["accuracy"] for turn in turns},
        "down": sum(turn.down for turn in turns),
        "up": sum(turn.up for turn in turns),
        "peers": sum(len(turn.versions) for turn in turns) / len(turns),
        "end": sorted(turn.end for turn in turns)[len(turns) // 2],
    }
