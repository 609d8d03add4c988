"""What the server asks of a node, and where the domains live."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Self

from flwr.app import ConfigRecord, Message

from fedretina.errors import BadArgument
from fedretina.strategies.peer_reuse.plan import Plan

Knob = bool | int | float | str
Work = Literal["describe", "source", "yardsticks", "reuse"]


@dataclass(frozen=True)
class Job:
    """One message's work: what is to be done for which domains of the node, in which round (1 is the first).

    `run` names the run's checkpoints on the node, so that a resumed run finds them. `knobs` are the app's: values of its
    configuration that hold instead of those that the node was started with. `scores` are, by source, those of the rounds
    before at the target, for an alpha that remembers them.
    """

    run: str
    round: int
    plan: Plan
    work: Mapping[str, Work]
    knobs: Mapping[str, Knob] = field(default_factory=dict)
    scores: Mapping[str, Sequence[float]] = field(default_factory=dict)

    def record(self) -> ConfigRecord:
        """Give the job as a record of a message."""
        record = ConfigRecord({"run": self.run, "round": self.round})
        record["plan"], record["work"] = self.plan.to_json(), json.dumps(dict(self.work))
        if self.knobs:
            record["knobs"] = json.dumps(dict(self.knobs))
        if self.scores:
            record["scores"] = json.dumps({name: list(scores) for name, scores in self.scores.items()})
        return record

    @classmethod
    def read(cls, record: ConfigRecord) -> Self:
        """Read what `record` wrote."""
        number = record["round"]
        assert isinstance(number, int)
        plan = Plan.from_json(str(record["plan"]))
        rest = {name: json.loads(str(record.get(name, "{}"))) for name in ("work", "knobs", "scores")}
        return cls(str(record["run"]), number, plan, **rest)

    @classmethod
    def of(cls, message: Message) -> Self:
        """Read the job of a message."""
        return cls.read(message.content.config_records["job"])


def deal(domains: Sequence[str], homes: Mapping[int, Sequence[str]]) -> dict[str, int]:
    """Say which node hosts which domain.

    Parameters
    ----------
    domains : sequence of str
        The domains of the run, the target first.
    homes : mapping of int to sequence of str
        Per node, in order, the domains that it says it hosts; empty where it hosts whatever it is dealt (a simulation).

    Returns
    -------
    dict of str to int
        The node of each domain.

    Raises
    ------
    BadArgument
        If a domain has no node.

    Examples
    --------
    >>> deal(["duke", "cuhk03", "msmt17"], {7: [], 9: []})
    {'duke': 7, 'cuhk03': 9, 'msmt17': 7}
    >>> deal(["duke", "cuhk03"], {7: ["cuhk03"], 9: ["duke"]})
    {'duke': 9, 'cuhk03': 7}
    """
    fixed = {domain: node for node, names in homes.items() for domain in names}
    free = [node for node, names in homes.items() if not names]
    rest = [domain for domain in domains if domain not in fixed]
    if rest and not free:
        raise BadArgument(f"no node hosts {', '.join(rest)}: the nodes host {', '.join(fixed) or 'nothing'}")
    dealt = {domain: free[i % len(free)] for i, domain in enumerate(rest)}
    return {domain: fixed.get(domain, dealt.get(domain, -1)) for domain in domains}
