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


def _orders(value: object) -> dict[str, list[int]]:
    if not isinstance(value, dict) or not all(isinstance(x, list) for x in value.values()):
        raise Corrupt("a DoM header holds orders that are no lists")
    return {str(name): [int(place) for place in places] for name, places in value.items()}


@dataclass(frozen=True, kw_only=True)
class Down:
    """Server to node.

    Parameters
    ----------
    config : DomConfig
        How the node codes what it sends up.
    uplink : {"one-shot", "stream"}
        Whether a reply's model is a difference to the model just received, or a version of the node's own stream.
    streams : mapping of str to str
        For each model in the message, by record name: the stream that it belongs to.
    bases : mapping of str to str
        By record name: digest of the version that the first payload builds on; missing where it needs none.
    orders : mapping of str to sequence of int
        By record name: the order of its arrays, see `fedretina.flower.records.order_of`.
    have : mapping of str to str
        By stream: the newest version that the server holds, as base for what the node sends up.
    """

    config: DomConfig
    uplink: Uplink
    streams: Mapping[str, str]
    bases: Mapping[str, str]
    orders: Mapping[str, Sequence[int]]
    have: Mapping[str, str]

    def record(self) -> ConfigRecord:
        """Give the header as a record."""
        rest = {name: dict(getattr(self, name)) for name in ("streams", "bases", "have")}
        body = {"config": json.loads(self.config.to_json()), "uplink": self.uplink, "orders": dict(self.orders), **rest}
        return ConfigRecord({"down": json.dumps(body, sort_keys=True, separators=(",", ":"))})

    @classmethod
    def read(cls, record: ConfigRecord) -> Self:
        """Read a header; `Corrupt` if it is none."""
        try:
            body = json.loads(str(record["down"]))
            config = DomConfig.from_json(json.dumps(body["config"]))
            rest = {name: _texts(body[name]) for name in ("streams", "bases", "have")}
            uplink, orders = body["uplink"], _orders(body["orders"])
        except (KeyError, TypeError, ValueError, BadArgument) as error:
            raise Corrupt(f"a message's DoM header cannot be read: {error!r}") from None
        if uplink not in ("one-shot", "stream"):
            raise Corrupt(f"a message's DoM header asks for the uplink {uplink!r}")
        return cls(config=config, uplink=uplink, orders=orders, **rest)


@dataclass(frozen=True, kw_only=True)
class Up:
    """Node to server.

    Parameters
    ----------
    holds : mapping of str to str
        By stream: digest of the version that the node holds now. This is the acknowledgement.
    lacking : tuple of str
        Record names that could not be decoded for want of their base; the node's app was not asked then.
    streams : mapping of str to str
        For each model in the reply, by record name: its stream, or "" for a one-shot.
    bases : mapping of str to str
        By record name: digest of the version that the payload builds on; missing for a keyframe.
    orders : mapping of str to sequence of int
        By record name: the order of its arrays.
    encode_s, decode_s : mapping of str to float
        Seconds by record name: encoding of the reply's models, decoding of the message's.
    """

    holds: Mapping[str, str]
    lacking: tuple[str, ...] = ()
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
            return cls(
                holds=_texts(body["holds"]),
                lacking=tuple(str(name) for name in body["lacking"]),
                streams=_texts(body["streams"]),
                bases=_texts(body["bases"]),
                orders=_orders(body["orders"]),
                encode_s=_seconds(record["encode_s.names"], record["encode_s"]),
                decode_s=_seconds(record["decode_s.names"], record["decode_s"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise Corrupt(f"a reply's DoM header cannot be read: {error!r}") from None


def _seconds(names: object, values: object) -> dict[str, float]:
    if not isinstance(names, list) or not isinstance(values, list):
        raise TypeError("times are no lists")
    return {str(name): float(value) for name, value in zip(names, values, strict=True)}


def without_header(content: RecordDict) -> RecordDict:
    """Copy a content without the header in it."""
    return RecordDict({name: record for name, record in content.items() if name != NAME})
