"""The mod of the ClientApp: decodes the models of a message before the app runs, and codes those of its reply."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from flwr.app import Context, Error, Message, RecordDict

from fedretina.dom import Version, follow
from fedretina.errors import Corrupt, FedRetinaError, UnknownBase, Untrusted
from fedretina.flower import header, node_state, records
from fedretina.flower.failures import UNUSABLE_REPLY
from fedretina.flower.lazy import lazy_record
from fedretina.flower.node_store import NodeStore, open_store
from fedretina.flower.precision import find_model_name
from fedretina.flower.reply import ReceivedModels, ReplyEncoder
from fedretina.flower.sources import VersionSource
from fedretina.flower.trust import NodeTrust, check_signed
from fedretina.home import references
from fedretina.trust import Identity

App = Callable[[Message, Context], Message]
Checker = Callable[[header.SentModel, Sequence[bytes]], tuple[Sequence[bytes], Callable[[Version], None]]]


class DomMod:
    """A Flower mod for DoM. Put it first: ``ClientApp(mods=[DomMod()])``, or use `dom_mod`, which has the defaults.

    Messages that do not come from a `DomGrid` pass unchanged. If the node cannot decode a message, because it lacks the base
    or the message is damaged, the mod replies with the versions that the node holds. The server then sends the message again
    in another form. The app runs only when all models are decoded.

    Parameters
    ----------
    store : Path, optional
        Folder of the versions that deltas build on; by default ``references`` in the user's folder. All nodes of a
        machine may share it.
    trust : Identity, optional
        Keys and checks of a node that joined a city. By default those in the folder that the node's configuration names
        (``city="/path"``, as ``fedretina city join`` starts the node); without one, models are not signed.

    Examples
    --------
    In a ClientApp::

        app = ClientApp(mods=[DomMod(Path("/var/lib/fedretina"))])
    """

    def __init__(self, store: Path | None = None, *, trust: Identity | None = None) -> None:
        self._folder = store
        self._trust = None if trust is None else NodeTrust(trust)
        self._trust_by_folder: dict[str, NodeTrust] = {}

    def __call__(self, message: Message, context: Context, call_next: App) -> Message:
        """Decode the message, run the next mods and the app, and code the reply."""
        trust = self._find_trust(context)
        reply = self._answer(message, context, call_next, trust)
        if trust is not None and reply.has_content():
            try:
                trust.check_leaving(reply.content)
            except Untrusted as error:
                return Message(Error(UNUSABLE_REPLY, f"{type(error).__name__}: {error}"), reply_to=message)
        return reply

    def _answer(self, message: Message, context: Context, call_next: App, trust: NodeTrust | None) -> Message:
        if not message.has_content() or header.NAME not in message.content.config_records:
            if trust is not None and message.has_content():
                check_signed(message.content, ())
            return call_next(message, context)
        down = header.DownHeader.from_record(message.content.config_records[header.NAME])
        store = open_store(self._folder or references())
        received = self._decode(message, down, store, trust)
        streams = {name: model.stream for name, model in down.models.items() if model.stream}
        decoded = {streams[name]: version.digest for name, version in received.versions.items() if name in streams}
        node_state.add_held_versions(context, decoded)
        if received.missing:
            return _report_missing(message, context, received, store, trust)
        message.content = _decoded_content(message, down, received)
        model_name = find_model_name(message.content)
        reply = call_next(message, context)
        if not reply.has_content():
            return reply
        kind = message.metadata.message_type
        return ReplyEncoder(context, down, received, store, model_name, kind, trust).encode(reply)

    def _find_trust(self, context: Context) -> NodeTrust | None:
        """Return the node's trust: what was given here, or what the node's configuration names (``city="/path"``)."""
        folder = str(context.node_config.get("city", ""))
        if self._trust is not None or not folder:
            return self._trust
        if folder not in self._trust_by_folder:
            domains = str(context.node_config.get("domains", "")).split(",")
            self._trust_by_folder[folder] = NodeTrust(Identity(Path(folder), domains))
        return self._trust_by_folder[folder]

    def _decode(
        self, message: Message, down: header.DownHeader, store: NodeStore, trust: NodeTrust | None
    ) -> ReceivedModels:
        received = ReceivedModels()
        if trust is not None:
            check_signed(message.content, down.models)
            try:
                trust.hear(down.trust)
                if message.metadata.message_type == "train" and down.trust is not None and down.trust.recipients is None:
                    trust.check_asks_for_seal()
            except FedRetinaError as error:
                return _refusal(error, down.models)
        for name, model in down.models.items():
            try:
                received.versions[name] = self._version(name, message, model, store, _checker(trust, name, down))
            except FedRetinaError as error:
                received.missing[name] = f"{type(error).__name__}: {error}"
        return received

    def _version(
        self, name: str, message: Message, model: header.SentModel, store: NodeStore, trusted: "Checker"
    ) -> Version:
        """Return the version that a record leads to; another node of this machine may have decoded it already."""
        if name not in message.content.array_records:
            raise Corrupt(f"the message's DoM header names a model {name!r}, but there is no such record; send it again")
        payloads: Sequence[bytes] = records.unpack(message.content.array_records[name])
        payloads, install = trusted(model, payloads)
        if (known := store.get(model.digest)) is not None:
            install(known)
            return known
        base = store.get(model.base) if model.base else None
        if not payloads and base is None:
            raise UnknownBase(f"the message refers to version {model.digest[:8]}, which is not held here; send a payload")
        version = follow(payloads, base=base)
        if version.digest != model.digest:
            raise Corrupt(
                f"the payloads lead to version {version.digest[:8]}, not to {model.digest[:8]} as the header says; "
                "send the message again"
            )
        install(version)
        if model.stream:
            store.put(version)
        return version


def _checker(trust: NodeTrust | None, name: str, down: header.DownHeader) -> "Checker":
    """Return a function that checks and opens a record; it returns payloads, and what remembers the decoded version."""

    def check(model: header.SentModel, payloads: Sequence[bytes]) -> tuple[Sequence[bytes], Callable[[Version], None]]:
        if trust is None:
            return payloads, lambda version: None
        statement, seal = None, None
        if down.trust is not None:
            statement, seal = down.trust.statements.get(name), down.trust.seals.get(name)
        found = trust.check(name, model.stream, model.digest, statement, payloads)
        opened = trust.open(name, found, statement or b"", seal, payloads)
        return opened, lambda version: trust.install(found, version)

    return check


def _refusal(error: FedRetinaError, names: Iterable[str] = ()) -> ReceivedModels:
    """Return what is reported if a message, or the reply to it, is refused as a whole."""
    reason = f"{type(error).__name__}: {error}"
    return ReceivedModels(missing=dict.fromkeys(names, reason) or {"": reason})


def _decoded_content(message: Message, down: header.DownHeader, received: ReceivedModels) -> RecordDict:
    """Return a message's content as the app sees it."""
    models = {
        name: lazy_record(
            VersionSource(version), version.model, records.names_in_order(version.model, down.models[name].order)
        )
        for name, version in received.versions.items()
    }
    return records.replace_records(header.without_header(message.content), models)


def _report_missing(
    message: Message, context: Context, received: ReceivedModels, store: NodeStore, trust: NodeTrust | None
) -> Message:
    """Reply which records could not be decoded, and which versions the node holds."""
    held = {stream: digest for stream, digest in node_state.held_versions(context).items() if digest in store}
    up = header.UpHeader(held=held, missing=received.missing, trust=None if trust is None else trust.up())
    return Message(RecordDict({header.NAME: up.to_record()}), reply_to=message)


dom_mod = DomMod()
