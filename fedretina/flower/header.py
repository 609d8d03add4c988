"""What the two ends tell each other beside the models: one ConfigRecord a message, removed before anyone else sees it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal, Self

from flwr.app import ConfigRecord, RecordDict

from fedretina.dom import DomConfig
from fedretina.errors import BadArgument, Corrupt

NAME = "fedretina.dom"

Uplink = Literal["one-shot", "stream"]


def _texts(value: object) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(x, str) for x in (*value, *value.values())):
        raise Corrupt("a DoM header holds a mapping that is none of text to text")
    return value


def _told(config: DomConfig) -> dict[str, object]:
    """Tell what of a configuration differs from the default: a header goes with every message."""
    default = json.loads(DomConfig().to_json())
    return {key: value for key, value in json.loads(config.to_json()).items() if value != default[key]}


def _orders(value: object) -> dict[str, list[int]]:
    if not isinstance(value, dict) or not all(isinstance(x, list) for x in value.values()):
        raise Corrupt("a DoM header holds orders that are no lists")
    return {str(name): [int(place) for place in places] for name, places in value.items()}


@dataclass(frozen=True, kw_only=True)
class Down:
    """Server to node.

    Parameters
    ----------
    config : DomConfig or None
        How the node codes what it sends up; None for as it is.
    uplink : {"one-shot", "stream"}
        Whether a reply's model is a difference to the model just received, or a version of the node's own stream.
    streams : mapping of str to str
        For each coded model in the message, by record name: the stream that it belongs to.
    bases : mapping of str to str
        By record name: digest of the version that the first payload builds on; missing where it needs none.
    digests : mapping of str to str
        By record name: digest of the version that the payloads lead to.
    orders : mapping of str to sequence of int
        By record name: the order of its arrays, see `fedretina.flower.records.order_of`.
    have : mapping of str to str
        By stream: the newest version that the server holds, as base for what the node sends up.
    feedback : bool
        Whether the node adds what quantisation lost of its last reply to the next one.
    """

    config: DomConfig | None
    uplink: Uplink
    streams: Mapping[str, str]
    bases: Mapping[str, str]
    digests: Mapping[str, str]
    orders: Mapping[str, Sequence[int]]
    have: Mapping[str, str]
    feedback: bool = False

    def record(self) -> ConfigRecord:
        """Give the header as a record."""
        rest = {name: dict(getattr(self, name)) for name in ("streams", "bases", "digests", "orders", "have")}
        body = {
            "config": None if self.config is None else _told(self.config),
            "uplink": self.uplink,
            "feedback": self.feedback,
            **rest,
        }
        return ConfigRecord({"down": json.dumps(body, sort_keys=True, separators=(",", ":"))})

    @classmethod
    def read(cls, record: ConfigRecord) -> Self:
        """Read a header; `Corrupt` if it is none."""
        try:
            body = json.loads(str(record["down"]))
            config = None if body["config"] is None else DomConfig.from_json(json.dumps(body["config"]))
            rest = {name: _texts(body[name]) for name in ("streams", "bases", "digests", "have")}
            uplink, orders, feedback = body["uplink"], _orders(body["orders"]), body["feedback"]
        except (KeyError, TypeError, ValueError, BadArgument) as error:
            raise Corrupt(f"a message's DoM header cannot be read: {error!r}") from None
        if uplink not in ("one-shot", "stream"):
            raise Corrupt(f"a message's DoM header asks for the uplink {uplink!r}")
        if not set(rest["streams"]) == set(rest["digests"]) == set(orders) or not isinstance(feedback, bool):
            raise Corrupt("a message's DoM header does not say the same of each of its models")
        return cls(config=config, uplink=uplink, orders=orders, feedback=feedback, **rest)


@dataclass(frozen=True, kw_only=True)
class Up:
    """Node to server.

    Parameters
    ----------
    holds : mapping of str to str
        By stream: digest of the version that the node holds now. This is the acknowledgement.
    lacking : mapping of str to str
        By record name: why it could not be decoded; the node's app was not asked then.
    streams : mapping of str to str
        For each coded model in the reply, by record name: its stream, or "" for a one-shot.
    bases : mapping of str to str
        By record name: digest of the version that the payload builds on; missing for a keyframe.
    orders : mapping of str to sequence of int
        By record name: the order of its arrays.
    encode_s, decode_s : mapping of str to float
        Seconds by record name: encoding of the reply's models, decoding of the message's.
    """

    holds: Mapping[str, str]
    lacking: Mapping[str, str] = field(default_factory=dict)
    streams: Mapping[str, str] = field(default_factory=dict)
    bases: Mapping[str, str] = field(default_factory=dict)
    orders: Mapping[str, Sequence[int]] = field(default_factory=dict)
    encode_s: Mapping[str, float] = field(default_factory=dict)
    decode_s: Mapping[str, float] = field(default_factory=dict)

    def record(self) -> ConfigRecord:
        """Give the header as a record; times travel as numbers of fixed size, so equal replies have equal lengths."""
        body = asdict(self)
        times = {name: body.pop(name) for name in ("encode_s", "decode_s")}
        text = json.dumps(body, sort_keys=True, separators=(",", ":"))
        names = {name: sorted(seconds) for name, seconds in times.items()}
        values = {name: [float(times[name][key]) for key in names[name]] for name in times}
        return ConfigRecord({"up": text, **{f"{n}.names": names[n] for n in names}, **values})

    @classmethod
    def read(cls, record: ConfigRecord) -> Self:
        """Read a header; `Corrupt` if it is none."""
        try:
            body = json.loads(str(record["up"]))
            rest = {name: _texts(body[name]) for name in ("holds", "lacking", "streams", "bases")}
            times = {name: _seconds(record[f"{name}.names"], record[name]) for name in ("encode_s", "decode_s")}
            orders = _orders(body["orders"])
        except (KeyError, TypeError, ValueError) as error:
            raise Corrupt(f"a reply's DoM header cannot be read: {error!r}") from None
        if set(orders) != set(rest["streams"]):
            raise Corrupt("a reply's DoM header does not say the same of each of its models")
        return cls(orders=orders, encode_s=times["encode_s"], decode_s=times["decode_s"], **rest)


def _seconds(names: object, values: object) -> dict[str, float]:
    if not isinstance(names, list) or not isinstance(values, list):
        raise TypeError("times are no lists")
    return {str(name): float(value) for name, value in zip(names, values, strict=True)}


def without_header(content: RecordDict) -> RecordDict:
    """Copy a content without the header in it."""
    return RecordDict({name: record for name, record in content.items() if name != NAME})
