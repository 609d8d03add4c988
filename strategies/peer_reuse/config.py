"""What a run is configured by beside `fedretina.train.Training`: which domains take part, and how the target reuses."""

from dataclasses import dataclass
from typing import Literal

from fedretina.checks import check_domains, check_number, check_one_of
from fedretina.errors import BadArgument

INITS = ("best-peer", "average", "given", "scratch")
ALPHAS = ("learned", "bound", "uniform")


@dataclass(frozen=True, kw_only=True)
class Topology:
    """The domains of a run.

    Parameters
    ----------
    targets : tuple of str
        The domains that reuse the others' models. Today exactly one.
    sources : tuple of str
        The domains whose models are reused; each trains at home on all its labels.

    Raises
    ------
    BadArgument
        Naming the key, its value and what is allowed.

    Examples
    --------
    >>> Topology(targets=("duke",), sources=("cuhk03", "msmt17")).domains
    ('duke', 'cuhk03', 'msmt17')
    """

    targets: tuple[str, ...]
    sources: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.targets) > 1:
            raise BadArgument(
                f"targets = {','.join(self.targets)!r}: exactly one target is allowed so far; start one run for each target"
            )
        check_domains("".join(self.targets), self.sources)

    @property
    def target(self) -> str:
        """The one target."""
        return self.targets[0]

    @property
    def domains(self) -> tuple[str, ...]:
        """The targets, then the sources."""
        return (*self.targets, *self.sources)


@dataclass(frozen=True, kw_only=True)
class ReuseConfig:
    """How the target reuses its sources' models.

    Parameters
    ----------
    gamma : float, default 0.3
        Weight of reuse in Eq. 1; 0 turns it off.
    alpha : {"learned", "bound", "uniform"}, default "learned"
        Weights of the sources in Eq. 2. "learned": they descend Theorem 1's bound in R_m, the risk on the target's labels in
        this round. "bound": they are set to the bound's optimum, R_m averaged over the rounds. "uniform": all are equal. In
        the committee both of the first are the optimum.
    init : {"best-peer", "average", "given", "scratch"}, default "best-peer"
        The target's start. "best-peer": the source that is best on the target's labels after AdaBN. "average": the mean of
        all sources of its kind of model, AdaBN done anew. "given" and "scratch": the model that `Task.model` makes for it;
        for "given" the app insists on weights of the user's. Without a source of its kind of model it is that model too.
    committee : bool, default True
        Whether peers and the target's own state label the target's unlabelled samples, on which it then trains; without it
        reuse is Eq. 1 alone, and half of every batch is unlabelled.
    layers : tuple of str
        Submodules whose outputs are reconstructed; empty (default) means the task's own.

    Raises
    ------
    BadArgument
        Naming the key, its value and what is allowed.

    Examples
    --------
    >>> ReuseConfig(alpha="guess")
    Traceback (most recent call last):
    fedretina.errors.BadArgument: alpha = 'guess': allowed are 'learned', 'bound', 'uniform'
    """

    gamma: float = 0.3
    alpha: Literal["learned", "bound", "uniform"] = "learned"
    init: Literal["best-peer", "average", "given", "scratch"] = "best-peer"
    committee: bool = True
    layers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_number("gamma", self.gamma, positive=False)
        check_one_of("alpha", self.alpha, ALPHAS)
        check_one_of("init", self.init, INITS)
