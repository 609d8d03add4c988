"""The plan of a run: what server and nodes agree on, checked once, sent as JSON."""

import json
import math
from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Literal, Self

from fedretina.errors import BadArgument

INITS = ("best-peer", "average", "given", "scratch")
ALPHAS = ("learned", "bound", "uniform")
DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("auto", "float32", "bfloat16")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How the domains of a run train. Steps, not samples, are what the target and its yardsticks have in common.

    Parameters
    ----------
    target : str
        The domain that reuses the others' models.
    sources : tuple of str
        The domains whose models are reused, each trained at home on all its labels.
    rounds : int, default 6
        Rounds: in each one the sources publish a version, and the target trains with them.
    local_epochs : int, default 5
        Epochs a domain trains in a round.
    home_epochs : int, default 20
        Epochs a source trains at home before the first round's, so that its first version is worth reusing.
    epoch_samples : int, default 4000
        An epoch of a larger domain takes this many of its samples, others each time; 0 takes all.
    batch_size : int, default 64
        Samples a step. With the committee the target draws them from all that have a label or got one; with Eq. 1 alone half
        of them are labelled, half not.
    lr : float, default 0.002
        Peak learning rate of Adam.
    gamma : float, default 0.3
        Weight of reuse in Eq. 1; 0 turns it off.
    alpha : {"learned", "bound", "uniform"}, default "learned"
        Weights of the sources in Eq. 2: they descend Theorem 1's bound in R_m, the risk on the target's labels in this
        round; or are set to its optimum, R_m averaged over the rounds; or are all equal. In the committee both of the
        first are the optimum.
    init : {"best-peer", "average", "given", "scratch"}, default "best-peer"
        The target's start: the source that is best on the target's labels after AdaBN; or the average of all sources of its
        kind of model, AdaBN done anew; or what `Task.model` makes for it: "given" where that reads weights of the user's,
        which the app insists on, "scratch" where it does not matter. Without a source of its kind of model it is that too.
    committee : bool, default True
        Whether the peers and the target's own state label the target's unlabelled samples, which it then trains on; without
        it reuse is Eq. 1 alone.
    layers : tuple of str
        Submodules whose outputs are reconstructed; empty (default) means the task's own.
    baselines : bool, default True
        Whether to train the yardsticks too.
    device : {"auto", "cpu", "cuda"}, default "auto"
        Where to compute.
    precision : {"auto", "float32", "bfloat16"}, default "auto"
        In which numbers networks run in training (weights and losses are float32); "auto": bfloat16 where the device
        multiplies it natively.
    seed : int, default 0
        Everything random follows from it.

    Raises
    ------
    BadArgument
        Naming the key, its value and what is allowed.

    Examples
    --------
    >>> plan = Plan(target="duke", sources=("cuhk03",), rounds=2)
    >>> plan == Plan.from_json(plan.to_json())
    True
    """

    target: str
    sources: tuple[str, ...]
    rounds: int = 6
    local_epochs: int = 5
    home_epochs: int = 20
    epoch_samples: int = 4000
    batch_size: int = 64
    lr: float = 0.002
    gamma: float = 0.3
    alpha: Literal["learned", "bound", "uniform"] = "learned"
    init: Literal["best-peer", "average", "given", "scratch"] = "best-peer"
    committee: bool = True
    layers: tuple[str, ...] = ()
    baselines: bool = True
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        names = (self.target, *self.sources)
        if not self.sources or not all(names) or len(set(names)) < len(names):
            raise BadArgument(
                f"target = {self.target!r}, sources = {','.join(self.sources)!r}: "
                "give one target and at least one source, all different"
            )
        for name in names:
            if name.startswith(".") or set(name) & set("/\\,"):
                key = "target" if name == self.target else "sources"
                raise BadArgument(f"{key} = {name!r}: a folder's name is allowed, without / and , and no dot before it")
        for key, least in (("rounds", 1), ("local_epochs", 1), ("home_epochs", 0), ("epoch_samples", 0), ("seed", 0)):
            _at_least(key, getattr(self, key), least)
        _at_least("batch_size", self.batch_size, 2)
        if not (math.isfinite(self.lr) and self.lr > 0):
            raise BadArgument(f"lr = {self.lr}: a positive number is allowed")
        if not (math.isfinite(self.gamma) and self.gamma >= 0):
            raise BadArgument(f"gamma = {self.gamma}: a number of 0 or more is allowed")
        for key, allowed in (("alpha", ALPHAS), ("init", INITS), ("device", DEVICES), ("precision", PRECISIONS)):
            _one_of(key, getattr(self, key), allowed)

    @property
    def domains(self) -> tuple[str, ...]:
        """The target and the sources."""
        return (self.target, *self.sources)

    def to_json(self) -> str:
        """Write the plan as JSON."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote."""
        body = json.loads(text)
        return cls(**{**body, "sources": tuple(body["sources"]), "layers": tuple(body["layers"])})


def _at_least(key: str, value: int, least: int) -> None:
    if value < least:
        raise BadArgument(f"{key.replace('_', '-')} = {value}: an integer of {least} or more is allowed")


def _one_of(key: str, value: str, allowed: Collection[str]) -> None:
    if value not in allowed:
        raise BadArgument(f"{key} = {value!r}: allowed are {', '.join(repr(a) for a in allowed)}")
