"""The configuration of a run, beside `fedretina.train.Training`: its domains, and how targets reuse models."""

from dataclasses import dataclass
from typing import Literal

from fedretina.checks import check_at_least, check_domain_name, check_number, check_one_of
from fedretina.errors import BadArgument
from fedretina.train import OWN_LIMIT, RISK_LIMIT, TurnRules

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
    new_classes_below : float, default 0
        The committee makes new classes of clusters without a labelled sample, if a smaller fraction of a target's samples
        than this is labelled; 0: never. See `fedretina.reuse.CommitteeOptions`.
    layers : tuple of str
        Submodules whose outputs are reconstructed; empty (default) means the task's own.
    body_rounds : int, default 0
        Rounds in which the sources average their bodies, after their training at home; 0: none. A body is a model without
        its head and its BatchNorm statistics. All these rounds together take `Training.home_epochs` epochs, so that there
        are at most as many rounds. A target then starts from the joint body, which also votes in the committee.
    co_training : {"off", "one", "turns", "all"}, default "off"
        Which sources go on training with a target: none, the one with the smallest R_m, one in turn, or all at once. They
        and the target start from a shared body, and the server averages what they trained.
    average_every : int, default 5
        Epochs of the target between two averages in co-training; the end of a round averages too.
    share_target : float, default 0.6
        The target's weight in these averages.
    alone_last : int, default 6
        The last epochs of the run, in which a target trains alone.
    turns_by : {"size", "risk", "equal"}, default "size"
        How often a source has its turn: in proportion to its samples, at most 4,000; to 1 / R_m; or all equally often.
    risk_limit : float, default 2.0
        A source has no turn if its R_m is more than this multiple of the smallest R_m; 0: no such limit.
    own_limit : float, default 1.0
        A source has no turn if its R_m is more than this multiple of the target's own risk: the error of the target alone,
        on labelled samples that are held out (`fedretina.train.held_out_risk`). If no source passes, the target starts from
        the joint body and trains alone. It applies to tasks whose labels mean the same in every domain; elsewhere R_m has
        no such counterpart. 0: no such limit.
    share : bool, default True
        Whether weights that were trained on a target's data go to other domains. False: there is no co-training, whatever
        `co_training` says. A node can refuse for itself (`PeerReuseClient`).

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
    new_classes_below: float = 0.0
    layers: tuple[str, ...] = ()
    body_rounds: int = 0
    co_training: Literal["off", "one", "turns", "all"] = "off"
    average_every: int = 5
    share_target: float = 0.6
    alone_last: int = 6
    turns_by: Literal["size", "risk", "equal"] = "size"
    risk_limit: float = RISK_LIMIT
    own_limit: float = OWN_LIMIT
    share: bool = True

    def __post_init__(self) -> None:
        check_number("gamma", self.gamma, positive=False)
        check_one_of("alpha", self.alpha, ALPHAS)
        check_one_of("init", self.init, INITS)
        if not 0 <= self.new_classes_below <= 1:
            raise BadArgument(f"new-classes-below = {self.new_classes_below}: a number from 0 to 1 is allowed")
        self._check_joint()

    def _check_joint(self) -> None:
        for key, least in (("body_rounds", 0), ("average_every", 1), ("alone_last", 0)):
            check_at_least(key.replace("_", "-"), getattr(self, key), least)
        if not 0 < self.share_target <= 1:
            raise BadArgument(f"share-target = {self.share_target}: a number above 0, at most 1, is allowed")
        _ = self.turn_rules  # which checks its values
        if self.is_joint and self.init != "best-peer":
            raise BadArgument(
                f"init = {self.init!r} with body-rounds = {self.body_rounds}, co-training = {self.co_training!r}: there a "
                "target starts from the shared body; say init = 'best-peer', or body-rounds = 0 and co-training = 'off'"
            )

    @property
    def co_trains(self) -> bool:
        """Whether sources go on training with the targets."""
        return self.share and self.co_training != "off"

    @property
    def turn_rules(self) -> TurnRules:
        """The rules by which sources take part in co-training."""
        return TurnRules(
            co_training=self.co_training, by=self.turns_by, risk_limit=self.risk_limit, own_limit=self.own_limit
        )

    @property
    def is_joint(self) -> bool:
        """Whether domains average their bodies. The sources' models from home are then made once, in the first round."""
        return self.co_trains or self.body_rounds > 0
