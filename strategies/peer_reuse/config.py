"""The configuration of a run, beside `fedretina.train.Training`: its domains, and how targets reuse models."""

from dataclasses import dataclass
from typing import Literal

from fedretina.checks import check_domain_name, check_number, check_one_of
from fedretina.errors import BadArgument

INITS = ("best-peer", "average", "given", "scratch")
ALPHAS = ("learned", "bound", "uniform")


@dataclass(frozen=True, kw_only=True)
class Topology:
    """The domains of a run. A domain may be a target and a source.

    Parameters
    ----------
    targets : tuple of str
        The domains that reuse the sources' models.
    sources : tuple of str
        The domains whose models are reused; each trains at home on all labels that it has.

    Raises
    ------
    BadArgument
        Naming the key, its value and what is allowed.

    Examples
    --------
    >>> topology = Topology(targets=("duke", "market1501"), sources=("market1501", "msmt17"))
    >>> topology.domains
    ('duke', 'market1501', 'msmt17')
    >>> topology.sources_of("market1501")
    ('msmt17',)
    """

    targets: tuple[str, ...]
    sources: tuple[str, ...]

    def __post_init__(self) -> None:
        for key, names in (("targets", self.targets), ("sources", self.sources)):
            if not any(names) or len(set(names)) < len(names):
                raise BadArgument(
                    f"{key} = {','.join(names)!r}: give at least one {key.removesuffix('s')}, all different, comma-separated"
                )
            for name in names:
                check_domain_name(key, name)
        for target in self.targets:
            if not self.sources_of(target):
                raise BadArgument(
                    f"targets = {','.join(self.targets)!r}, sources = {','.join(self.sources)!r}: the only source of "
                    f"{target!r} is itself; give each target at least one source that is another domain"
                )

    @property
    def domains(self) -> tuple[str, ...]:
        """The targets, then the sources; each domain once."""
        return tuple(dict.fromkeys((*self.targets, *self.sources)))

    def sources_of(self, target: str) -> tuple[str, ...]:
        """List the sources that a target reuses: all but itself.

        Its own model from home has seen the labels on which R_m is measured, so that its R_m would be near 0.
        """
        return tuple(source for source in self.sources if source != target)

    def stream_of(self, target: str) -> str:
        """Name the stream of a target's model: by the domain, unless that names the model which it trains as a source.

        Examples
        --------
        >>> topology = Topology(targets=("duke", "market1501"), sources=("market1501", "msmt17"))
        >>> topology.stream_of("duke"), topology.stream_of("market1501")
        ('duke', 'market1501/target')
        """
        return f"{target}/target" if target in self.sources else target

    def role_of(self, domain: str) -> str:
        """Say whether a domain is a target, a source, or both."""
        roles = (("target", self.targets), ("source", self.sources))
        return " and ".join(role for role, names in roles if domain in names)


@dataclass(frozen=True, kw_only=True)
class ReuseConfig:
    """How a target reuses its sources' models.

    Parameters
    ----------
    gamma : float, default 0.3
        Weight of reuse in Eq. 1; 0 turns it off.
    alpha : {"learned", "bound", "uniform"}, default "learned"
        Weights of the sources in Eq. 2. "learned": they descend Theorem 1's bound; its R_m is the risk of source m on the
        target's labels in this round. "bound": they are the bound's optimum, with R_m averaged over the rounds. "uniform":
        all are equal. The committee uses the optimum for "learned" and "bound".
    init : {"best-peer", "average", "given", "scratch"}, default "best-peer"
        Where the target's model starts. "best-peer": from the source that is best on the target's labels after AdaBN.
        "average": from the mean of all sources with its kind of model, with AdaBN on the mean. "given" and "scratch": from
        the model that `Task.model` makes; for "given" the app requires a file of weights. If no source has the target's kind
        of model, "best-peer" and "average" start from that model too.
    committee : bool, default True
        Whether the sources' models and the target's own state label the target's unlabelled samples, on which it then
        trains. Without the committee, reuse is Eq. 1 alone, and half of every batch is unlabelled.
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
