"""The header of a DoM message: one ConfigRecord, which the receiving end removes before the app or the strategy sees it.

The record holds one msgpack array: the protocol's number, the release, and the fields. A message without a coded model has
no header.
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
from fedretina.flower.seals import DownSeal, UpSeal, read_recipients, read_seals
from fedretina.flower.trust import DownTrust, UpTrust, read_statements

NAME = "fedretina.dom"
PROTOCOL = 4  # 1 was JSON text, 2 had no field for trust, 3 none for seals

Uplink = Literal["one-shot", "stream"]
Order = tuple[int, ...] | None


@dataclass(frozen=True, kw_only=True)
class SentModel:
    """What a header to a node says of one coded record.

    Parameters
    ----------
    stream : str
        The stream that it is a version of; "" for data that no stream keeps.
    digest : str
        Digest of the version that the payloads lead to.
    base : str
        Digest of the version that the first payload builds on; "" if it builds on none.
    order : tuple of int or None
        The order of its arrays, see `fedretina.flower.records.order_of`; None: sorted by name.
    """

    stream: str
    digest: str
    base: str = ""
    order: Order = None


@dataclass(frozen=True, kw_only=True)
class ReturnedModel:
    """What a header to the server says of one coded record.

    Parameters
    ----------
    stream : str
        The node's own stream that it is a version of; "" for a one-shot.
    base : str
        Digest of the version that the payload builds on; "" for a keyframe.
    order : tuple of int or None
        As in `SentModel`.
    encode_s : float
        Seconds that the node spent on encoding.
    """

    stream: str = ""
    base: str = ""
    order: Order = None
    encode_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class DownHeader:
    """The header of a message from the server to a node.

    Parameters
    ----------
    config : DomConfig or None
        How the node codes its reply; None: not at all.
    uplink : {"one-shot", "stream"}
        Whether the reply's model is coded against the model just received, or is a version of the node's own stream.
    models : mapping of str to SentModel
        The coded records, by record name.
    server_versions : mapping of str to str
        By stream: digest of the newest version that the server holds. The node codes its next version against it.
    feedback : bool
        Whether the node adds the residual of its last reply (what quantisation lost) to the next reply.
    rules : tuple of RecordRule
        Which records may lose precision, as the user of `DomGrid` says.
    trust : DownTrust or None
        Signatures; None without trust.
    """

    config: DomConfig | None
    uplink: Uplink
    models: Mapping[str, SentModel]
    server_versions: Mapping[str, str] = field(default_factory=dict)
    feedback: bool = False
    rules: tuple[RecordRule, ...] = ()
    trust: DownTrust | None = None

    def to_record(self) -> ConfigRecord:
        """Return the header as a record."""
        models = {
            name: [m.stream if m.stream != name else None, bytes.fromhex(m.digest), bytes.fromhex(m.base), m.order]
            for name, m in self.models.items()
        }
        server_versions = {stream: bytes.fromhex(digest) for stream, digest in self.server_versions.items()}
        config = None if self.config is None else _changed_settings(self.config)
        rules = [[r.lossy, r.record, r.message_type, r.tensors] for r in self.rules]
        trust = [] if self.trust is None else [_list_down_trust(self.trust)]
        return _make_record([config, self.uplink, models, server_versions, self.feedback, rules, *trust])

    @classmethod
    def from_record(cls, record: ConfigRecord) -> Self:
        """Read a header; `Corrupt` if it cannot be read, `TooNew` if it has another protocol."""
        fields = _fields(record, "the server")
        try:
            config, uplink, models, server_versions, feedback, rules, *trust = fields
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
                server_versions={_text(stream): _digest(digest) for stream, digest in server_versions.items()},
                feedback=feedback,
                rules=tuple(RecordRule(lossy=r[0], record=r[1], message_type=r[2], tensors=tuple(r[3])) for r in rules),
                trust=_read_down_trust(*trust) if trust else None,
            )
        except (AttributeError, TypeError, ValueError, IndexError, BadArgument) as error:
            raise Corrupt(f"a message's DoM header cannot be read: {error!r}; send the message again") from None


@dataclass(frozen=True, kw_only=True)
class UpHeader:
    """The header of a reply from a node to the server.

    Parameters
    ----------
    held : mapping of str to str
        By stream: digest of the version that the node holds now. This is the acknowledgement.
    missing : mapping of str to str
        By record name: why the record could not be decoded. The node's app did not run then.
    models : mapping of str to ReturnedModel
        The coded records, by record name.
    trust : UpTrust or None
        Signatures; None without trust.
    """

    held: Mapping[str, str]
    missing: Mapping[str, str] = field(default_factory=dict)
    models: Mapping[str, ReturnedModel] = field(default_factory=dict)
    trust: UpTrust | None = None

    def to_record(self) -> ConfigRecord:
        """Return the header as a record; its size does not depend on the seconds."""
        models = {
            name: [m.stream if m.stream != name else None, bytes.fromhex(m.base), m.order, m.encode_s]
            for name, m in self.models.items()
        }
        held = {stream: bytes.fromhex(digest) for stream, digest in self.held.items()}
        trust = [] if self.trust is None else [_list_up_trust(self.trust)]
        return _make_record([held, dict(self.missing), models, *trust])

    @classmethod
    def from_record(cls, record: ConfigRecord) -> Self:
        """Read a header; `Corrupt` if it cannot be read, `TooNew` if it has another protocol."""
        fields = _fields(record, "the node")
        try:
            held, missing, models, *trust = fields
            return cls(
                held={_text(stream): _digest(digest) for stream, digest in held.items()},
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
                trust=_read_up_trust(*trust) if trust else None,
            )
        except (AttributeError, TypeError, ValueError) as error:
            raise Corrupt(f"a reply's DoM header cannot be read: {error!r}; the reply is dropped") from None


def without_header(content: RecordDict) -> RecordDict:
    """Return a copy of a content, without the header."""
    return RecordDict({name: record for name, record in content.items() if name != NAME})


def _make_record(fields: Sequence[Any]) -> ConfigRecord:
    return ConfigRecord({"": bytes(msgpack.packb([PROTOCOL, fedretina.__version__, *fields]))})


def _fields(record: ConfigRecord, sender: str) -> list[Any]:
    """Return the fields after protocol and release; `TooNew` names both if the protocol is another."""
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


def _changed_settings(config: DomConfig) -> dict[str, object]:
    """Return the settings that differ from the default: every message has a header, so it must be small."""
    default = json.loads(DomConfig().to_json())
    return {key: value for key, value in json.loads(config.to_json()).items() if value != default[key]}


def _list_down_trust(trust: DownTrust) -> list[Any]:
    seals = {name: seal.to_list() for name, seal in trust.seals.items()}
    recipients = None if trust.recipients is None else {stream: list(names) for stream, names in trust.recipients.items()}
    return [list(trust.roots), trust.newest, dict(trust.statements), seals, recipients]


def _read_down_trust(entry: Any) -> DownTrust:
    roots, newest, statements, seals, recipients = entry
    return DownTrust(
        tuple(_bytes(root) for root in roots),
        _bytes(newest),
        read_statements(statements),
        read_seals(seals, DownSeal),
        read_recipients(recipients),
    )


def _list_up_trust(trust: UpTrust) -> list[Any]:
    seals = {name: seal.to_list() for name, seal in trust.seals.items()}
    return [trust.root, trust.acknowledgement, dict(trust.statements), seals]


def _read_up_trust(entry: Any) -> UpTrust:
    root, acknowledgement, statements, seals = entry
    if type(root) is not int:
        raise TypeError(f"{root!r:.40} is no version of a root")
    return UpTrust(root, _bytes(acknowledgement), read_statements(statements), read_seals(seals, UpSeal))


def _bytes(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError(f"{value!r:.40} are no bytes")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} is not text")
    return value


def _seconds(value: object) -> float:
    if not isinstance(value, float) or not 0 <= value < float("inf"):
        raise TypeError(f"{value!r:.40} is not a number of seconds")
    return value


def _digest(value: object, *, optional: bool = False) -> str:
    if not isinstance(value, bytes) or len(value) not in ((0, 32) if optional else (32,)):
        raise TypeError(f"{value!r:.40} is not a digest of 32 bytes")
    return value.hex()


def _order(value: object) -> Order:
    if value is None:
        return None
    if not isinstance(value, list) or not all(type(position) is int for position in value):
        raise TypeError(f"{value!r:.40} is not an order of arrays")
    return tuple(value)
