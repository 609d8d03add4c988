"""A turn: one message of a domain, its reply, and what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from flwr.app import ConfigRecord, RecordDict

from fedretina.errors import Corrupt

SKETCH = "sketch"
UNDECODED = "undecoded"
"""Record of a reply: the streams that the domain was sent and could not decode, so that it does not hold them."""
SKETCH_FEATURES, SKETCH_DIRECTIONS = 64, 4


@dataclass(frozen=True, kw_only=True)
class Turn:
    """What came of a turn.

    Parameters
    ----------
    domain : str
        The domain.
    number : int
        From 1; the first one trains at home.
    start, end : float
        Seconds of simulated time.
    down, up : int
        Bytes of the message and of its reply, headers included.
    resent : int
        Bytes of the second message to a node that lacked a base; no simulated time.
    raw_down, raw_up : int
        What plain Flower would send for the same models, in bytes of tensors.
    metrics : mapping of str to float
        The domain's own metrics after the turn.
    alpha, risks, scores : mapping of str to float
        By peer: its weight, its R_m, and its LogME.
    versions : mapping of str to int
        By peer: the number of the version that was sent.
    refused : mapping of str to str
        By peer: why that version was not admitted.
    error : str
        Why the turn failed; "" if it did not.
    """

    domain: str
    number: int
    start: float
    end: float
    down: int = 0
    up: int = 0
    resent: int = 0
    raw_down: int = 0
    raw_up: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    alpha: Mapping[str, float] = field(default_factory=dict)
    risks: Mapping[str, float] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)
    versions: Mapping[str, int] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    error: str = ""


@dataclass(frozen=True)
class TurnOrder:
    """What a message says of the turn, beside its job.

    Parameters
    ----------
    turns_with_peers : int
        In how many turns the domain has learnt from peers so far: the first such turn starts as `ReuseConfig.init` says.
    sketch : bool
        Whether the server wants the domain's sketch.

    Examples
    --------
    >>> content = RecordDict({"turn": TurnOrder(turns_with_peers=2, sketch=False).record()})
    >>> TurnOrder.of(content).turns_with_peers
    2
    """

    turns_with_peers: int
    sketch: bool

    def record(self) -> ConfigRecord:
        """Write it as a record of a message."""
        return ConfigRecord({"turns-with-peers": self.turns_with_peers, "sketch": self.sketch})

    @classmethod
    def of(cls, content: RecordDict) -> Self:
        """Read the record of a message."""
        record = content.config_records["turn"]
        return cls(turns_with_peers=int(str(record["turns-with-peers"])), sketch=bool(record["sketch"]))


def sketch_record(sketch: np.ndarray) -> ConfigRecord:
    """Write a sketch as a record of a reply."""
    return ConfigRecord({"rows": len(sketch), "float16": sketch.tobytes()})


def read_sketch(content: RecordDict) -> np.ndarray | None:
    """Read the sketch of a reply; None if it has none.

    Raises
    ------
    Corrupt
        If it is no float16 matrix of the one shape that sketches have, with finite values.
    """
    record = content.config_records.get(SKETCH)
    if record is None:
        return None
    try:
        data = record["float16"]
        sketch = np.frombuffer(data if isinstance(data, bytes) else b"", np.float16).reshape(int(str(record["rows"])), -1)
    except (KeyError, ValueError) as error:
        raise Corrupt(f"a sketch cannot be read ({error}): the reply is dropped") from None
    if sketch.shape != (SKETCH_FEATURES, SKETCH_DIRECTIONS) or not np.isfinite(sketch).all():
        raise Corrupt(
            f"a sketch has shape {sketch.shape}, allowed is {(SKETCH_FEATURES, SKETCH_DIRECTIONS)} with finite values: "
            "the reply is dropped"
        )
    return sketch
