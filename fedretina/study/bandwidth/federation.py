"""Federated averaging in one process, with every update coded in both directions, as bytes that are measured.

A round: each client trains from the model that all hold, and sends its difference; the server decodes and averages them,
takes its outer step, and sends that step to all clients, coded once. Both ends of a channel keep a state, so error feedback
works up and down (as in Tang et al., "DoubleSqueeze", ICML 2019). All begin with the same model, which nobody is sent.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fedretina.errors import BadArgument
from fedretina.study.codecs import Codec, State
from fedretina.study.tasks import FederatedTask, Model

Outer = Literal["average", "nesterov"]
OUTERS: tuple[Outer, ...] = ("average", "nesterov")
_OUTER_LR, _MOMENTUM = 0.7, 0.9  # of DiLoCo (Douillard et al., arXiv 2311.08105)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How a federation trains, whatever its codec.

    Parameters
    ----------
    rounds : int, default 20
    local_steps : int, default 10
        Steps of every client in a round: H of DiLoCo. It is the same for all codecs: fewer rounds are no compression.
    clients : int, default 4
    outer : {"average", "nesterov"}, default "average"
        What the server does with the mean update: it adds it (FedAvg), or takes DiLoCo's outer step of rate 0.7 with
        Nesterov's momentum 0.9.

    Raises
    ------
    BadArgument
        If a number is less than 1, or `outer` is unknown.
    """

    rounds: int = 20
    local_steps: int = 10
    clients: int = 4
    outer: Outer = "average"

    def __post_init__(self) -> None:
        for name in ("rounds", "local_steps", "clients"):
            if getattr(self, name) < 1:
                raise BadArgument(f"{name} = {getattr(self, name)}: an integer of 1 or more is allowed")
        if self.outer not in OUTERS:
            raise BadArgument(f"outer = {self.outer!r}: allowed are {', '.join(map(repr, OUTERS))}")


@dataclass(frozen=True)
class RoundRow:
    """One round: bytes of all clients together, the model's score after it, and processor seconds.

    `client_seconds` are the slowest client's (training, coding, decoding), `server_seconds` the server's.
    """

    round: int
    bytes_up: int
    bytes_down: int
    score: float
    client_seconds: float
    server_seconds: float


def federate(task: FederatedTask, codec: Codec, plan: Plan, *, seed: int = 0) -> Iterator[RoundRow]:
    """Train, and yield a row after each round; row 0 is the first model's.

    Parameters
    ----------
    task : FederatedTask
        What is trained.
    codec : Codec
        Codes both directions; on the way down its `down` does, if it has one.
    plan : Plan
        Its clients must be as many as the task has.
    seed : int, default 0
        The first model, batches and codecs follow from it: with other codecs they are the same.

    Notes
    -----
    A training diverges if a value is not finite. From then on nothing is trained: rows repeat the bytes of the round before,
    with the first model's score.

    Examples
    --------
    >>> from fedretina.study.codecs import create
    >>> from fedretina.study.tasks import Digits
    >>> rows = list(federate(Digits(clients=2), create("topk"), Plan(rounds=3, clients=2)))
    >>> [row.round for row in rows], rows[-1].score > rows[0].score
    ([0, 1, 2, 3], True)
    """
    if task.clients != plan.clients:
        raise BadArgument(f"clients = {plan.clients}: the task has {task.clients}; give that number")
    model = task.first_model(seed)
    up = [Channel.of(codec, model, seed=_seed(seed, client)) for client in range(plan.clients)]
    down, outer = Channel.of(codec.down or codec, model, seed=_seed(seed, plan.clients)), OuterStep(plan.outer)
    row = first = RoundRow(0, 0, 0, task.measure(model), 0.0, 0.0)
    diverged = False
    yield first
    for number in range(1, plan.rounds + 1):
        clients, server = [Clock() for _ in up], Clock()
        trained = (
            clients[c].time(partial(task.train, model, c, steps=plan.local_steps, seed=_seed(seed, number, c)))
            for c in range(plan.clients)
        )
        updates = [] if diverged else [difference(new, model) for new in trained]
        diverged = diverged or not all(map(is_finite, updates))
        if diverged:
            yield replace(row, round=number, score=first.score)
            continue
        pairs = zip(up, updates, clients, strict=True)
        arrived = [channel.send(update, encoding=clock, decoding=server) for channel, update, clock in pairs]
        step = server.time(partial(outer.step, _mean(arrived)))
        at_client = Clock()
        model = added(model, down.send(step, encoding=server, decoding=at_client))
        slowest = max(clock.seconds for clock in clients) + at_client.seconds
        bytes_up, score = sum(channel.sent for channel in up), task.measure(model)
        diverged = not math.isfinite(score)
        score = first.score if diverged else score
        row = RoundRow(number, bytes_up, plan.clients * down.sent, score, slowest, server.seconds)
        yield row


@dataclass
class Clock:
    """Adds up processor time, which other processes on the machine do not change much."""

    seconds: float = 0.0

    def time(self, work: Callable[[], Any]) -> Any:
        """Do the work, and return its result."""
        start = time.process_time()
        try:
            return work()
        finally:
            self.seconds += time.process_time() - start


@dataclass
class Channel:
    """One direction between two ends: a codec, and the state of each end; `sent` is the bytes of the last update."""

    codec: Codec
    sender: State
    receiver: State
    sent: int = 0

    @classmethod
    def of(cls, codec: Codec, model: Model, *, seed: int) -> "Channel":
        """Return a fresh channel for updates of a model."""
        return cls(codec, State.of(model, seed=seed), State.of(model, seed=seed))

    def send(self, update: Model, *, encoding: Clock, decoding: Clock) -> Model:
        """Encode and decode an update; return what arrives."""
        data: bytes = encoding.time(lambda: self.codec.encode(update, self.sender))
        self.sent = len(data)
        found: Model = decoding.time(lambda: self.codec.decode(data, self.receiver))
        return found


@dataclass
class OuterStep:
    """The server's step from a mean update: the update itself, or Nesterov's."""

    kind: Outer
    velocity: dict[str, NDArray[Any]] = field(default_factory=dict)

    def step(self, update: Model) -> Model:
        """Return what is added to the model."""
        if self.kind == "average":
            return update
        self.velocity = {name: _MOMENTUM * self.velocity.get(name, 0) + values for name, values in update.items()}
        return {n: (_OUTER_LR * (u + _MOMENTUM * self.velocity[n])).astype(u.dtype) for n, u in update.items()}


def difference(new: Model, old: Model) -> Model:
    """Return new minus old."""
    return {name: values - old[name] for name, values in new.items()}


def added(model: Model, update: Model) -> Model:
    """Return model plus update."""
    return {name: values + update[name] for name, values in model.items()}


def is_finite(update: Model) -> bool:
    """Tell whether an update holds neither NaN nor infinity."""
    return all(np.isfinite(values).all() for values in update.values())


def _mean(updates: Sequence[Mapping[str, NDArray[Any]]]) -> Model:
    return {name: np.asarray(np.mean([u[name] for u in updates], axis=0, dtype=np.float32)) for name in updates[0]}


def _seed(*numbers: int) -> int:
    """Derive a seed of 32 bits from numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])
