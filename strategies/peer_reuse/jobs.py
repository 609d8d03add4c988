"""The job in a message: the work that the server asks of a node."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self

from flwr.app import ConfigRecord, Message

from fedretina.errors import BadArgument
from fedretina.strategies.peer_reuse.config import ReuseConfig
from fedretina.train import Training

VERSION = 2
"""Version of a job's JSON; another one is refused."""

Setting = bool | int | float | str
Work = Literal[
    "describe", "source", "baselines", "source+baselines", "reuse", "score", "body", "turn", "co-train", "co-train+turn"
]


@dataclass(frozen=True, kw_only=True)
class Job:
    """The work of one message.

    Parameters
    ----------
    run : str
        Names the run's checkpoints on the node, so that a resumed run finds them.
    round : int
        From 1; 0 before the first.
    training : Training
        Settings of the training.
    reuse : ReuseConfig
        Settings of the reuse.
    work : mapping of str to str
        By domain of the node, see `Work`. "source+baselines" and "co-train+turn" are the work of a domain that is a source
        and a target.
    baselines : bool, default True
        Whether the targets' baselines are trained.
    settings : mapping of str to bool, int, float or str, default none
        The app's own settings; they replace the values that the node was started with.
    scores : mapping of str to mapping, default none
        By target and source: the source's scores at the target in the rounds before, for ``alpha="bound"``.
    streams : mapping of str to str, default none
        By target: the stream of its model, where that is not named as the domain; see `Topology.stream_of`.
    spans : mapping of str to sequence of int, default none
        With shared bodies, by domain: the first epoch, from 0, the end of the range, which is excluded, and the total.
    bodies : mapping of str to sequence of str, default none
        By domain: the records with the bodies from which it trains in this message.
    samples : mapping of str to int, default none
        By record of a body: the number of samples from which the steps of a source's turn follow.

    Examples
    --------
    >>> job = Job(run="demo", round=1, training=Training(), reuse=ReuseConfig(), work={"duke": "reuse"})
    >>> Job.read(job.record()) == job
    True
    """

    run: str
    round: int
    training: Training
    reuse: ReuseConfig
    work: Mapping[str, Work]
    baselines: bool = True
    settings: Mapping[str, Setting] = field(default_factory=dict)
    scores: Mapping[str, Mapping[str, Sequence[float]]] = field(default_factory=dict)
    streams: Mapping[str, str] = field(default_factory=dict)
    spans: Mapping[str, Sequence[int]] = field(default_factory=dict)
    bodies: Mapping[str, Sequence[str]] = field(default_factory=dict)
    samples: Mapping[str, int] = field(default_factory=dict)

    def record(self) -> ConfigRecord:
        """Write the job as a record of a message; empty mappings are left out."""
        body = {key: value for key, value in asdict(self).items() if value != {}}
        return ConfigRecord({"json": json.dumps({"version": VERSION, **body}, sort_keys=True)})

    @classmethod
    def read(cls, record: ConfigRecord) -> Self:
        """Read a record that `record` wrote; `BadArgument` if its version is another one."""
        body: dict[str, Any] = json.loads(str(record.get("json", "{}")))
        if (version := body.pop("version", None)) != VERSION:
            raise BadArgument(
                f"the server's job has version {version}: this node reads version {VERSION}; "
                "install the same release of fedretina on the server and on every node"
            )
        reuse = body.pop("reuse")
        reuse["layers"] = tuple(reuse["layers"])
        return cls(training=Training(**body.pop("training")), reuse=ReuseConfig(**reuse), **body)

    @classmethod
    def of(cls, message: Message) -> Self:
        """Read the job of a message."""
        return cls.read(message.content.config_records["job"])
