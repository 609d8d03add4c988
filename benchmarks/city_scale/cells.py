"""One cell of the policy study: a whole run of the city in this process, by one policy under one budget."""

import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from flwr.app import Context, Message, RecordDict
from flwr.clientapp import ClientApp

from city_scale.gains import Gains
from city_task import CityTask, domain_names
from fedretina.dom import DomConfig, Model, ReferenceStore
from fedretina.flower import PayloadRelay, RelayedModels, SignedModels, SignedRelay
from fedretina.strategies.mutual_reuse import LinkModel, MutualReuse, MutualReuseClient, Selection, Turn
from fedretina.strategies.peer_reuse import Job, ReuseConfig, hosted_domains
from fedretina.testing import LocalGrid
from fedretina.train import Training
from fedretina.trust import SERVER, SimulatedCity
from poisoned.attacks import sign_flipped

TASK = CityTask(domains=100, districts=10)
TRAINING = Training(
    rounds=3, local_epochs=5, home_epochs=20, batch_size=32, lr=0.005, device="cpu", precision="float32"
)  # fmt: skip
CODEC = DomConfig(relative_error=0.25, keyframe_error=0.02)
BAD = 0.1
FLIPPING = {"sign-flipped": 1, "turns hostile": 3}
"""Kinds of hostile domains, and their first bad version."""
LEARNS_NO_MORE = "learns no more"
"""No attack, but what is left of hostile domains when all that they do is refused: the versions before it."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A policy, its bytes of payload for a target and turn (0: no limit), what a tenth of the domains does, and the seed.

    With `trust` the domains sign their versions, and admit only sound ones. `turns` is the number of turns of a domain.
    """

    policy: str
    budget: int
    bad: str = ""
    seed: int = 0
    trust: bool = False
    turns: int = TRAINING.rounds

    @property
    def name(self) -> str:
        """The cell's name in the store."""
        parts = [self.policy, self.budget, self.bad.replace(" ", "-") or "good", self.seed]
        parts += ["trust"] if self.trust else []
        return "-".join(map(str, parts + ([f"{self.turns}-turns"] if self.turns != TRAINING.rounds else [])))


def task_of(seed: int, bad: str = "") -> CityTask:
    """Return the city of a seed. Mislabelled domains have random labels; which ones depends on the seed alone."""
    return replace(TASK, seed=seed, bad=BAD if bad == "mislabelled" else 0.0)


def bad_domains(seed: int) -> set[str]:
    """Name the tenth of a city's domains that may be bad."""
    task = task_of(seed, "mislabelled")
    return {name for name in domain_names(task.domains) if task.is_bad(name)}


@dataclass
class Attack:
    """What bad domains publish in the place of their models, from a version on: flipped signs, or the last good version.

    Parameters
    ----------
    domains : set of str
        The bad domains.
    since : int
        The number of their first bad version.
    flips : bool
        Whether all signs are flipped.
    """

    domains: set[str]
    since: int
    flips: bool
    published: Counter[str] = field(default_factory=Counter)
    good: dict[str, Model] = field(default_factory=dict)

    @classmethod
    def of(cls, cell: Cell) -> "Attack":
        """Return the attack of a cell; domains with random labels publish what they learn."""
        kinds = FLIPPING | {LEARNS_NO_MORE: FLIPPING["turns hostile"]}
        return cls(bad_domains(cell.seed) if cell.bad in kinds else set(), kinds.get(cell.bad, 0), cell.bad in FLIPPING)

    def change(self, stream: str, model: Model) -> Model:
        """Return what a domain publishes in the place of its next version."""
        self.published[stream] += 1
        if stream not in self.domains:
            return model
        if self.published[stream] < self.since:
            self.good[stream] = dict(model)
            return model
        return sign_flipped(model) if self.flips else self.good[stream]


@dataclass(frozen=True)
class UnsignedModels(RelayedModels):
    """The models of a city without trust."""

    attack: Attack

    def publish(self, stream: str, model: Model, content: RecordDict) -> RecordDict:
        """Publish a version of a stream."""
        return super().publish(stream, self.attack.change(stream, model), content)


@dataclass(frozen=True)
class TrustedModels(SignedModels):
    """The models of a city with trust: hostile domains sign what they publish, as the others do."""

    attack: Attack

    def publish(self, stream: str, model: Model, content: RecordDict) -> RecordDict:
        """Publish a version of a stream."""
        return super().publish(stream, self.attack.change(stream, model), content)


def run(cell: Cell, folder: Path, *, gains: Gains | None = None) -> tuple[MutualReuse, list[Turn]]:
    """Run a city; its models are kept under the folder."""
    task, training = task_of(cell.seed, cell.bad), replace(TRAINING, rounds=cell.turns, seed=cell.seed)
    names = domain_names(task.domains)
    attack = Attack.of(cell)
    city = SimulatedCity(names, seed=cell.seed) if cell.trust else None
    store = ReferenceStore(folder)
    app = ClientApp()
    app.query("domains")(hosted_domains)

    @app.train()
    def train(message: Message, context: Context) -> Message:
        if city is None:
            return MutualReuseClient(task, folder, UnsignedModels(store, CODEC, attack), limits=None)(message, context)
        (domain,) = Job.of(message).work
        models = TrustedModels(store, CODEC, city.identity(folder / "identities" / domain, domain), attack)
        return MutualReuseClient(task, folder, models)(message, context)

    true_gains = None if gains is None else lambda target, candidates: {name: gains.of(target)[name] for name in candidates}
    strategy = MutualReuse(
        names,
        training,
        ReuseConfig(gamma=0.3, committee=False),
        run="study",
        selection=Selection(policy=cell.policy, budget=cell.budget or None, true_gains=true_gains),
        links=LinkModel(),
        relay=PayloadRelay() if city is None else SignedRelay(city.identity(folder / "server", SERVER)),
    )
    return strategy, strategy.start(LocalGrid(app, 1))


def measure(cell: Cell, gains: Gains | None = None) -> dict[str, Any]:
    """Run a cell, and return by turn: the accuracy of each domain, the bytes that each got and sent, the simulated end."""
    with tempfile.TemporaryDirectory() as folder:
        _, turns = run(cell, Path(folder), gains=gains)
    if failed := [turn for turn in turns if turn.error]:
        raise SystemExit(f"{cell.name}: {len(failed)} turns failed, the first one: {failed[0].error}")
    return {"turns": [_row([turn for turn in turns if turn.number == n + 1]) for n in range(cell.turns)]}


def _row(turns: list[Turn]) -> Mapping[str, Any]:
    return {
        "accuracy": {turn.domain: turn.metrics["accuracy"] for turn in turns},
        "down": sum(turn.down for turn in turns),
        "up": sum(turn.up for turn in turns),
        "peers": sum(len(turn.versions) for turn in turns) / len(turns),
        "refused": [[turn.domain, peer] for turn in turns for peer in turn.refused],
        "end": sorted(turn.end for turn in turns)[len(turns) // 2],
    }
