"""The streams that a server holds: versions that nodes published, and models that the server's strategy made."""

import weakref
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fedretina.dom import DomConfig, Model, ReferenceStore, Stream, Version, accept, add_residual, digest, residual_of
from fedretina.errors import Corrupt, UnknownBase
from fedretina.flower.ownership import FirstPublisherOwns, Ownership
from fedretina.flower.precision import RecordKind
from fedretina.flower.similarity import count_weights, is_similar, is_small, matching_tensors, restore_dtypes

MIN_LOSSY_WEIGHTS = 4096
"""A model of fewer weights is exact until a reply shows that nodes train it."""
_NEVER = object()


def stream_config(config: DomConfig) -> DomConfig:
    """Return the configuration for a stream: on the lattice, unless it asks for the paper's steps or rotates."""
    return replace(config, lattice=config.bits is None and config.rounding != "paper" and not config.rotated)


@dataclass(frozen=True, kw_only=True)
class NewModel:
    """A model that a strategy sends.

    Parameters
    ----------
    name : str
        Name of the record.
    model : mapping of str to ndarray
        Its tensors get the stream's dtypes; strategies return wider floats.
    node : int
        The node that is to receive it.
    round_key : object
        Equal for messages of one round.
    kind : {"model", "lossy", "data"}, default "model"
        "model": it may lose precision once it is known that nodes train it; "lossy": it may; "data": it may not.
    shared : bool, default True
        Whether several nodes get this model.
    feedback : bool, default False
        Whether the residual (what quantisation loses) is added to the next version, unless its mean is 0.
    """

    name: str
    model: Model
    node: int
    round_key: object
    kind: RecordKind = "model"
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
    ownership : Ownership
        Decides who may publish into a stream.
    """

    store: ReferenceStore
    folder: Path | None = None
    ownership: Ownership = field(default_factory=FirstPublisherOwns)
    _streams: dict[str, Stream] = field(default_factory=dict)
    # By stream of the server's own: digest of the newest model before it was coded, and digest of its residual.
    _uncoded: dict[str, str] = field(default_factory=dict)
    _residuals: dict[str, str] = field(default_factory=dict)
    _trained: set[str] = field(default_factory=set)  # streams whose versions nodes train: they replied with next versions
    _shared: set[str] = field(default_factory=set)  # streams whose first version went to several nodes

    def __post_init__(self) -> None:
        self._versions: weakref.WeakValueDictionary[str, Version] = weakref.WeakValueDictionary()
        self._round_keys: dict[str, object] = {}

    def open(self, name: str) -> Stream:
        """Return the stream of that name, a new one if there is none."""
        if name not in self._streams:
            folder = self.folder / folder_name(name) if self.folder is not None else None
            self._streams[name] = Stream(name, store=self.store, config=stream_config(DomConfig()), folder=folder)
        return self._streams[name]

    def names(self) -> list[str]:
        """Return the names of all streams."""
        return list(self._streams)

    # Models of the strategy -------------------------------------------------------------------------------------------

    def publish(self, new: NewModel, config: DomConfig) -> Stream:
        """Return the stream whose newest version is this model; a model that no stream has is published.

        It goes into the stream of the record's name. If another model went there in the same round, every node gets a model
        of its own. Then each node has a stream of its own: two such models are not versions of each other.
        """
        name = self._stream_name(new)
        newest = self.open(name).newest
        model = new.model if newest is None else restore_dtypes(new.model, newest.model)
        uncoded = digest(model)
        coding = config if self._may_be_lossy(name, model, new.kind, shared=new.shared) else config.exact
        if (known := self._find_coded(uncoded, exact=coding.lossless)) is not None:
            return known
        if f"{name}@{new.node}" in self._streams or self._round_keys.get(name, _NEVER) == new.round_key:
            name = f"{name}@{new.node}"
            coding = config if self._may_be_lossy(name, model, new.kind, shared=False) else config.exact
        self._round_keys[name] = new.round_key
        if new.shared and self.open(name).log.newest is None:
            self._shared.add(name)
        self._publish(self.open(name), model, coding, feedback=new.feedback and not coding.lossless)
        self._uncoded[name] = uncoded
        return self.open(name)

    def continues(self, name: str, model: Model) -> bool:
        """Return whether a record is the next version of the stream of its name, whatever message it is in."""
        stream = self._streams.get(name)
        return stream is not None and stream.newest is not None and is_similar(model, stream.newest.model)

    def find_newest(self, wanted: str, *, preferred: str = "") -> Stream | None:
        """Return a stream whose newest version is the wanted one, that of the preferred name first; None without one."""
        found = [stream for stream in self._streams.values() if stream.log.newest == wanted]
        return next((stream for stream in found if stream.name == preferred), found[0] if found else None)

    def mark_trained(self, base: str) -> None:
        """Note that a node sent the next version of a version (by its digest): nodes train what is in that stream."""
        self._trained |= {stream.name for stream in self._streams.values() if stream.leads_to(base)}

    def _stream_name(self, new: NewModel) -> str:
        """Return the name of a record's stream: Flower's legacy loop has another record name for evaluation."""
        name = f"{new.name}@server" if self.ownership.owns(new.name) else new.name
        if name in self._streams:
            return name
        for stream in self._streams.values():
            idle = stream.name in self._uncoded and not self._is_busy(stream.name, new.round_key)
            if idle and stream.newest is not None and is_similar(new.model, stream.newest.model, limit=0.25):
                return stream.name
        return name

    def _is_busy(self, name: str, round_key: object) -> bool:
        return self._round_keys.get(name, _NEVER) == round_key

    def _find_coded(self, uncoded: str, *, exact: bool) -> Stream | None:
        """Return the stream whose newest version is a model (by its digest) or, unless `exact`, was coded from it."""
        for stream in self._streams.values():
            coded_from_it = not exact and uncoded == self._uncoded.get(stream.name)
            if stream.log.newest is not None and (uncoded == stream.log.newest or coded_from_it):
                return stream
        return None

    def _may_be_lossy(self, stream: str, model: Model, kind: RecordKind, *, shared: bool) -> bool:
        """Return whether the next version of a stream may lose precision.

        It may if nodes train what is in the stream: replies were next versions of what the nodes got. Until that is known,
        it may if the model goes to several nodes and is not small. A small model may be anything, and exactness is cheap.
        """
        if kind != "model":
            return kind == "lossy"
        if is_small(model):
            return False
        if stream in self._trained:
            return True
        newest = self.open(stream).newest
        if newest is None:
            return shared and count_weights(model) >= MIN_LOSSY_WEIGHTS
        return stream in self._shared and is_similar(model, newest.model)

    def _publish(self, stream: Stream, model: Model, config: DomConfig, *, feedback: bool) -> None:
        stream.config = stream_config(config)
        first, residual = stream.log.newest is None, self._residual(stream.name, model) if feedback else {}
        stream.publish(add_residual(model, residual))
        if config.is_unbiased:
            self._residuals.pop(stream.name, None)
        elif feedback and not first:  # what a keyframe lost is not added later: training starts without it
            assert stream.newest is not None
            lost = Version.of(residual_of(model, residual, stream.newest.model))
            self.store.put(lost)
            self._residuals[stream.name] = lost.digest

    def _residual(self, stream: str, model: Model) -> Model:
        """Return the residual of the stream's last version: what quantisation lost."""
        residual = self.store.get(self._residuals[stream]) if stream in self._residuals else None
        return {} if residual is None else matching_tensors(residual.model, model)

    # Versions of nodes ------------------------------------------------------------------------------------------------

    def receive(self, name: str, payload: bytes, *, node: int) -> Stream:
        """Add a node's new version to its stream, and return the stream; the payload is decoded when somebody needs that.

        Raises
        ------
        Untrusted
            If the stream is another node's.
        UnknownBase, Corrupt, Truncated, TooNew
            As `Stream.relay`.
        """
        self.ownership.check(name, node)
        stream = self.open(name)
        stream.relay(payload)
        return stream

    def check_relayed(self, digests: Mapping[str, str]) -> None:
        """Decode relayed versions (digests by stream) that a node could not decode; corrupt ones are discarded."""
        for name, sent in digests.items():
            if name in self._streams and self._streams[name].log.newest == sent:
                with suppress(Corrupt):
                    self._streams[name].version(sent)

    @property
    def discarded(self) -> int:
        """How many relayed versions turned out to be corrupt so far."""
        return sum(len(stream.discarded) for stream in self._streams.values())

    def decode(self, payload: bytes, base: str) -> tuple[Version, Version | None]:
        """Decode a payload that belongs to no stream; returns its version and the one that it builds on."""
        held = self.version(base) if base else None
        return accept(payload, base=held), held

    def version(self, wanted: str) -> Version:
        """Return a version by its digest, the same object to everyone who asks while one of them holds it.

        Raises
        ------
        UnknownBase
            If it is not held.
        """
        if (stream := self.find_newest(wanted)) is not None:
            return stream.version(wanted)
        found = self._versions.get(wanted) or self.store.get(wanted)
        if found is None:
            raise UnknownBase(f"a reply builds on version {wanted[:8]}, which the server does not hold (any more)")
        self._versions[wanted] = found
        return found

    def published_by_nodes(self) -> dict[str, str]:
        """Return the digest of the newest version of each stream that nodes publish."""
        newest = {name: stream.log.newest for name, stream in self._streams.items() if name not in self._uncoded}
        return {name: version for name, version in newest.items() if version is not None}

    # State ------------------------------------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """Return what `restore` reads."""
        return {
            "streams": list(self._streams),
            "owners": self.ownership.owners(),
            "uncoded": self._uncoded,
            "residuals": self._residuals,
            "trained": sorted(self._trained),
            "shared": sorted(self._shared),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved state; values that `to_json` did not write raise `KeyError`, `TypeError` or `ValueError`."""
        self.ownership.restore(state["owners"])
        self._uncoded, self._residuals = dict(state["uncoded"]), dict(state["residuals"])
        self._trained, self._shared = set(state["trained"]), set(state["shared"])
        for name in list(state["streams"]):
            if self.open(name).log.newest is None:
                self._uncoded.pop(name, None)


def folder_name(name: str) -> str:
    """Return the name of a stream's folder: letters and digits stay, other characters are escaped."""
    allowed = "-_@." if not name.startswith(".") else "-_@"
    return "".join(c if c.isalnum() or c in allowed else f"%{ord(c):x}" for c in name) or "%"
