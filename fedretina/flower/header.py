"""What the two ends tell each other beside the models: one ConfigRecord a message, removed before anyone else sees it.

The record holds one msgpack array: protocol number, release, and the fields. A message in which nothing is coded has none.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import msgpack
from flwr.app import ConfigRecord, RecordDict

import fedretina
from fedretina.dom import DomConfig
from fedretina.errors import BadArgument, Corrupt, TooNew
from fedretina.flower.precision import RecordRule

NAME = "fedretina.dom"
PROTOCOL = 2  # 1 was JSON text

Uplink = Literal["one-shot", "stream"]
Order = tuple[int, ...] | None


@dataclass(frozen=True, kw_only=True)
class SentModel:
    """A coded record on its way to a node.

    Parameters
    ----------
    stream : str
        The stream that it is a version of; "" for data that no stream keeps.
    digest : str
        Of the version that the payloads lead to.
    base : str
        Digest of the version that the first payload builds on; "" where it needs none.
    order : tuple of int or None
        The order of its arrays, see `fedretina.flower.records.order_of`; None: sorted by name.
    """

    stream: str
    digest: str
    base: str = ""
    order: Order = None


@dataclass(frozen=True, kw_only=True)
class ReturnedModel:
    """A coded record on its way to the server.

    Parameters
    ----------
    stream : str
        The node's own stream that it is a version of; "" for a one-shot.
    base : str
        Digest of the version that the payload builds on; "" for a keyframe.
    order : tuple of int or None
        As in `SentModel`.
    encode_s : float
        Seconds that the node needed.
    """

    stream: str = ""
    base: str = ""
    order: Order = None
    encode_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Down:
    """Server to node.

    Parameters
    ----------
    config : DomConfig or None
        How the node codes what it sends up; None for as it is.
    uplink : {"one-shot", "stream"}
        Whether a reply's model is a difference to the model just received, or a version of the node's own stream.
    models : mapping of str to SentModel
        By record name: the coded records.
    have : mapping of str to str
        By stream: the newest version that the server holds, as base for what the node sends up.
    feedback : bool
        Whether the node adds what quantisation lost of its last reply to the next one.
    rules : tuple of RecordRule
        What the app said about the precision of records.
    """

    config: DomConfig | None
    uplink: Uplink
    models: Mapping[str, SentModel]
    have: Mapping[str, str] = field(default_factory=dict)
    feedback: bool = False
    rules: tuple[RecordRule, ...] = ()

    def record(self) -> ConfigRecord:
        """Give the header as a record."""
        models = {
            name: [m.stream if m.stream != name else None, bytes.fromhex(m.digest), bytes.fromhex(m.base), m.order]
            for name, m in self.models.items()
        }
        have = {stream: bytes.fromhex(digest) for stream, digest in self.have.items()}
        config = None if self.config is None else _changed(self.config)
        rules = [[r.lossy, r.record, r.message_type, r.tensors] for r in self.rules]
        return _record([config, self.uplink, models, have, self.feedback, rules])

    @classmethod
    def read(cls, record: ConfigRecord) -> Self:
        """Read a header; `Corrupt` if it is none, `TooNew` if it is of another protocol."""
        fields = _fields(record, "the server")
        try:
            config, uplink, models, have, feedback, rules = fields
            if uplink not in ("one-shot", "stream") or not isinstance(feedback, bool):
                raise ValueError(f"uplink is {uplink!r:.40}, feedback is {feedback!r:.40}")
            return cls(
                config=None if config is None else DomConfig.from_json(json.dumps(config)),
                uplink=uplink,
                models={
                    _text(name): SentModel(
                        stream=_text(name if stream is None else stream),
                        digest=_digest(digest),
                        base=_digest(base, optional=True),
                        order=_order(order),
                    )
                    for name, (stream, digest, base, order) in models.items()
                },
                have={_text(stream): _digest(digest) for stream, digest in have.items()},
                feedback=feedback,
                rules=tuple(RecordRule(lossy=r[0], record=r[1], message_type=r[2], tensors=tuple(r[3])) for r in rules),
            )
        except (AttributeError, TypeError, ValueError, IndexError, BadArgument) as error:
            raise Corrupt(f"a message's DoM header cannot be read: {error!r}; send the message again") from None


@dataclass(frozen=True, kw_only=True)
class Up:
    """Node to server.

    Parameters
    ----------
    holds : mapping of str to str
        By stream: digest of the version that the node holds now. This is the acknowledgement.
    missing : mapping of str to str
        By record name: why it could not be decoded; the node's app was not asked then.
    models : mapping of str to ReturnedModel
        By record name: the coded records.
    """

    holds: Mapping[str, str]
    missing: Mapping[str, str] = field(default_factory=dict)
    models: Mapping[str, ReturnedModel] = field(default_factory=dict)

    def record(self) -> ConfigRecord:
        """Give the header as a record; numbers of seconds take the same space whatever they are."""
        models = {
            name: [m.stream if m.stream != name else None, bytes.fromhex(m.base), m.order, m.encode_s]
            for name, m in self.models.items()
        }
        holds = {stream: bytes.fromhex(digest) for stream, digest in self.holds.items()}
        return _record([holds, dict(self.missing), models])

    @classmethod
    def read(cls, record: ConfigRecord) -> Self:
        """Read a header; `Corrupt` if it is none, `TooNew` if it is of another protocol."""
        fields = _fields(record, "the node")
        try:
            holds, missing, models = fields
            return cls(
                holds={_text(stream): _digest(digest) for stream, digest in holds.items()},
                missing={_text(name): _text(reason) for name, reason in missing.items()},
                models={
                    _text(name): ReturnedModel(
                        stream=_text(name if stream is None else stream),
                        base=_digest(base, optional=True),
                        order=_order(order),
                        encode_s=_seconds(encode_s),
                    )
                    for name, (stream, base, order, encode_s) in models.items()
                },
            )
        except (AttributeError, TypeError, ValueError) as error:
            raise Corrupt(f"a reply's DoM header cannot be read: {error!r}; the reply is dropped") from None


def without_header(content: RecordDict) -> RecordDict:
    """Copy a content without the header in it."""
    return RecordDict({name: record for name, record in content.items() if name != NAME})


def _record(fields: Sequence[Any]) -> ConfigRecord:
    return ConfigRecord({"": bytes(msgpack.packb([PROTOCOL, fedretina.__version__, *fields]))})


def _fields(record: ConfigRecord, sender: str) -> list[Any]:
    """Return what follows protocol and release; both are named where the protocol is another."""
    data = record.get("")
    try:
        protocol, release, *fields = msgpack.unpackb(data) if isinstance(data, bytes) else [1, "0.1.0 or older"]
    except Exception as error:  # msgpack raises its own kinds, ValueError, UnicodeDecodeError, TypeError
        raise Corrupt(f"the DoM header of {sender} cannot be read: {error!r}; send the message again") from None
    if protocol != PROTOCOL:
        raise TooNew(
            f"{sender} runs fedretina {release!s:.40} (DoM protocol {protocol!r:.20}), here runs {fedretina.__version__} "
            f"(protocol {PROTOCOL}): install the same release of fedretina on both, and restart them"
        )
    return list(fields)


def _changed(config: DomConfig) -> dict[str, object]:
    """Return what of a configuration differs from the default: a header goes with every message."""
    default = json.loads(DomConfig().to_json())
    return {key: value for key, value in json.loads(config.to_json()).items() if value != default[key]}


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} is no text")
    return value


def _seconds(value: object) -> float:
    if not isinstance(value, float) or not 0 <= value < float("inf"):
        raise TypeError(f"{value!r:.40} is no number of seconds")
    return value


def _digest(value: object, *, optional: bool = False) -> str:
    if not isinstance(value, bytes) or len(value) not in ((0, 32) if optional else (32,)):
        raise TypeError(f"{value!r:.40} is no digest of 32 bytes")
    return value.hex()


def _order(value: object) -> Order:
    if value is None:
        return None
    if not isinstance(value, list) or not all(type(place) is int for place in value):
        raise TypeError(f"{value!r:.40} is no order")
    return tuple(value)
