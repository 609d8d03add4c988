"""The streams that a server holds: versions that nodes published, and models that the server's strategy made."""

import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fedretina.dom import DomConfig, Model, ReferenceStore, Stream, Version, accept, add_residual, digest, residual_of
from fedretina.errors import UnknownBase
from fedretina.flower.continuity import count_weights, is_near, is_tiny, matching_tensors, restore_dtypes
from fedretina.flower.ownership import FirstPublisherOwns
from fedretina.flower.precision import Kind, exactly

LEAST_WEIGHTS = 4096  # smaller models are exact until a reply shows that they are trained
_NEVER = object()


def on_lattice(config: DomConfig) -> DomConfig:
    """Put a stream's versions on the lattice, unless `bits` asks for the paper's absolute steps."""
    return replace(config, lattice=config.bits is None and config.rounding != "paper")


@dataclass(frozen=True, kw_only=True)
class NewModel:
    """A model that a strategy sends.

    Parameters
    ----------
    name : str
        Of the record.
    model : mapping of str to ndarray
        Floats that the strategy widened get the dtypes back that the stream has.
    node : int
        Who is to receive it.
    round_key : object
        Equal for messages of one round.
    kind : {"model", "lossy", "data"}, default "model"
        "model": it may lose precision once it is known that nodes train it; "lossy": it may; "data": it may not.
    shared : bool, default True
        Whether several nodes get this model.
    feedback : bool, default False
        Whether what quantisation loses is added to the next version.
    """

    name: str
    model: Model
    node: int
    round_key: object
    kind: Kind = "model"
    shared: bool = True
    feedback: bool = False


@dataclass
class StreamRegistry:
    """All streams of a run, by name.

    Parameters
    ----------
    store : ReferenceStore
        The versions themselves.
    folder : Path, optional
        Where the payloads are kept, for a server that starts again; None keeps them in memory.
    ownership : FirstPublisherOwns
        Who may publish into a stream.
    """

    store: ReferenceStore
    folder: Path | None = None
    ownership: FirstPublisherOwns = field(default_factory=FirstPublisherOwns)
    _streams: dict[str, Stream] = field(default_factory=dict)
    _sources: dict[str, str] = field(default_factory=dict)  # by stream of the server's: digest of the model before coding
    _residuals: dict[str, str] = field(default_factory=dict)
    _trained: set[str] = field(default_factory=set)  # nodes replied with next versions
    _shared: set[str] = field(default_factory=set)  # the first version went to several nodes

    def __post_init__(self) -> None:
        self._versions: weakref.WeakValueDictionary[str, Version] = weakref.WeakValueDictionary()
        self._round_keys: dict[str, object] = {}

    def open(self, name: str) -> Stream:
        """Return the stream of that name, a new one if there is none."""
        if name not in self._streams:
            folder = self.folder / _file_name(name) if self.folder is not None else None
            self._streams[name] = Stream(name, store=self.store, config=on_lattice(DomConfig()), folder=folder)
        return self._streams[name]

    def names(self) -> list[str]:
        """Return the names of all streams."""
        return list(self._streams)

    # Models of the strategy -------------------------------------------------------------------------------------------

    def publish(self, new: NewModel, config: DomConfig) -> Stream:
        """Return the stream whose newest version is this model; a model that no stream has is published.

        It goes into the stream of the record's name. Where another model went there in the same round, so that every
        node gets its own, it goes into a stream of its own per node: two such models are no versions of one another.
        """
        name = self._stream_name(new)
        newest = self.open(name).newest
        model = new.model if newest is None else restore_dtypes(new.model, newest.model)
        source = digest(model)
        coding = config if self._may_lose(name, model, new.kind, shared=new.shared) else exactly(config)
        if (known := self._find_made_of(source, exact=coding.lossless)) is not None:
            return known
        if f"{name}@{new.node}" in self._streams or self._round_keys.get(name, _NEVER) == new.round_key:
            name = f"{name}@{new.node}"
            coding = config if self._may_lose(name, model, new.kind, shared=False) else exactly(config)
        self._round_keys[name] = new.round_key
        if new.shared and self.open(name).newest is None:
            self._shared.add(name)
        self._publish(self.open(name), model, coding, feedback=new.feedback and not coding.lossless)
        self._sources[name] = source
        return self.open(name)

    def continues(self, name: str, model: Model) -> bool:
        """Tell whether a record goes on where the stream of its name is, whatever message it is in."""
        stream = self._streams.get(name)
        return stream is not None and stream.newest is not None and is_near(model, stream.newest.model)

    def is_newest(self, version: str) -> bool:
        """Tell whether a version (by its digest) is the newest of one of the streams."""
        return any(stream.newest is not None and stream.newest.digest == version for stream in self._streams.values())

    def note_trained(self, base: str) -> None:
        """Note that a node sent the next version of a version (by its digest): what is in that stream is trained."""
        self._trained |= {stream.name for stream in self._streams.values() if stream.leads_to(base)}

    def _stream_name(self, new: NewModel) -> str:
        """Name the stream for a record: Flower's legacy loop calls the same model otherwise when it is evaluated."""
        name = f"{new.name}@server" if self.ownership.owns(new.name) else new.name
        if name in self._streams:
            return name
        idle = (s for s in self._streams.values() if s.name in self._sources and not self._is_busy(s.name, new.round_key))
        near = (s.name for s in idle if s.newest is not None and is_near(new.model, s.newest.model, limit=0.25))
        return next(near, name)

    def _is_busy(self, name: str, round_key: object) -> bool:
        return self._round_keys.get(name, _NEVER) == round_key

    def _find_made_of(self, source: str, *, exact: bool) -> Stream | None:
        """Return the stream whose newest version is a model, or, where that suffices, was made of it."""
        for stream in self._streams.values():
            if stream.newest is None:
                continue
            if source == stream.newest.digest or (not exact and source == self._sources.get(stream.name)):
                return stream
        return None

    def _may_lose(self, stream: str, model: Model, kind: Kind, *, shared: bool) -> bool:
        """Tell whether the next version of a stream may lose precision.

        A stream that nodes train may: replies have been versions of what they got. Until that is known, so may a model
        that goes to several nodes, unless it is so small that it may be anything and costs little.
        """
        if kind != "model":
            return kind == "lossy"
        if is_tiny(model):
            return False
        if stream in self._trained:
            return True
        newest = self.open(stream).newest
        if newest is None:
            return shared and count_weights(model) >= LEAST_WEIGHTS
        return stream in self._shared and is_near(model, newest.model)

    def _publish(self, stream: Stream, model: Model, config: DomConfig, *, feedback: bool) -> None:
        stream.config = on_lattice(config)
        first, residual = stream.newest is None, self._residual(stream.name, model) if feedback else {}
        stream.publish(add_residual(model, residual))
        if feedback and not first:  # what a keyframe lost is not added later: training started without it
            assert stream.newest is not None
            left = Version.of(residual_of(model, residual, stream.newest.model))
            self.store.put(left)
            self._residuals[stream.name] = left.digest

    def _residual(self, stream: str, model: Model) -> Model:
        """Return what quantisation lost of the stream's last version."""
        residual = self.store.get(self._residuals[stream]) if stream in self._residuals else None
        return {} if residual is None else matching_tensors(residual.model, model)

    # Versions of nodes ------------------------------------------------------------------------------------------------

    def receive(self, name: str, payload: bytes, *, node: int) -> Version:
        """Take a node's new version of its stream; `Untrusted` if it is not the node's."""
        self.ownership.check(name, node)
        stream = self.open(name)
        stream.accept(payload)
        assert stream.newest is not None
        return stream.newest

    def decode(self, payload: bytes, base: str) -> tuple[Version, Version | None]:
        """Decode a payload that belongs to no stream; returns its version and the one that it builds on."""
        held = self.version(base) if base else None
        return accept(payload, base=held), held

    def version(self, value: str) -> Version:
        """Return a version by its digest, the same object to everyone who asks while one of them holds it.

        Raises
        ------
        UnknownBase
            If it is not held.
        """
        for stream in self._streams.values():
            if stream.newest is not None and stream.newest.digest == value:
                return stream.newest
        found = self._versions.get(value) or self.store.get(value)
        if found is None:
            raise UnknownBase(f"a reply builds on version {value[:8]}, which the server does not hold (any more)")
        self._versions[value] = found
        return found

    def published_by_nodes(self) -> dict[str, str]:
        """Return the digest of the newest version of each stream that nodes publish."""
        return {
            name: stream.newest.digest
            for name, stream in self._streams.items()
            if name not in self._sources and stream.newest is not None
        }

    # State ------------------------------------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """Return what `restore` reads."""
        return {
            "streams": list(self._streams),
            "owners": self.ownership.owners(),
            "sources": self._sources,
            "residuals": self._residuals,
            "trained": sorted(self._trained),
            "shared": sorted(self._shared),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up a kept state; values that `to_json` did not write raise `KeyError`, `TypeError` or `ValueError`."""
        self.ownership = FirstPublisherOwns(dict(state["owners"]))
        self._sources, self._residuals = dict(state["sources"]), dict(state["residuals"])
        self._trained, self._shared = set(state["trained"]), set(state["shared"])
        for name in list(state["streams"]):
            if self.open(name).newest is None:
                self._sources.pop(name, None)


def _file_name(name: str) -> str:
    """Make a folder's name of a stream's: record names may hold anything."""
    allowed = "-_@." if not name.startswith(".") else "-_@"
    return "".join(c if c.isalnum() or c in allowed else f"%{ord(c):x}" for c in name) or "%"
