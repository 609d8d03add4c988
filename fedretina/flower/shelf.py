"""The streams that a server holds, and which version of each every node has acknowledged."""

import json
import weakref
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from fedretina.dom import DomConfig, Model, ReferenceStore, Stream, Version, accept, digest
from fedretina.dom.feedback import carry, residual_of
from fedretina.dom.store import write_atomically
from fedretina.dom.tensors import is_float
from fedretina.dom.vectors import is_vector
from fedretina.errors import Corrupt, UnknownBase, Untrusted
from fedretina.flower.likeness import fitting, is_near, restored
from fedretina.flower.precision import Kind, exactly

STATE = "grid.json"
LEAST_WEIGHTS = 4096  # smaller models are exact until a reply shows that they are trained
_NEVER = object()


def on_lattice(config: DomConfig) -> DomConfig:
    """Put a stream's versions on the lattice, unless `bits` asks for the paper's absolute steps."""
    return replace(config, lattice=config.bits is None and config.rounding != "paper")


@dataclass
class Shelf:
    """All streams of a run, by name.

    Parameters
    ----------
    store : ReferenceStore
        The versions themselves.
    folder : Path, optional
        Where the payloads and the state are kept, for a server that starts again; None keeps them in memory.

    Attributes
    ----------
    streams : dict of str to Stream
        By name.
    owners : dict of str to int
        The node that publishes a stream; absent for the server's own.
    made : dict of str to str
        For each stream of the server's: digest of the model that its newest version was made of.
    held : dict of int to dict
        By node and stream: digest of the version that the node acknowledged.
    trained : set of str
        The server's streams to which nodes replied with next versions.
    shared : set of str
        The server's streams whose first version went to several nodes.
    """

    store: ReferenceStore
    folder: Path | None = None
    streams: dict[str, Stream] = field(default_factory=dict)
    owners: dict[str, int] = field(default_factory=dict)
    made: dict[str, str] = field(default_factory=dict)
    held: dict[int, dict[str, str]] = field(default_factory=dict)
    trained: set[str] = field(default_factory=set)
    shared: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._versions: weakref.WeakValueDictionary[str, Version] = weakref.WeakValueDictionary()
        self._moments: dict[str, object] = {}
        self._residuals: dict[str, str] = {}
        if self.folder is not None and (self.folder / STATE).exists():
            self._load(self.folder / STATE)

    def stream(self, name: str) -> Stream:
        """Give the stream of that name, opened if need be."""
        if name not in self.streams:
            folder = self.folder / _file_name(name) if self.folder is not None else None
            self.streams[name] = Stream(name, store=self.store, config=on_lattice(DomConfig()), folder=folder)
        return self.streams[name]

    # Down -------------------------------------------------------------------------------------------------------------

    def place(
        self,
        name: str,
        model: Model,
        *,
        config: DomConfig,
        node: int,
        moment: object,
        kind: Kind = "model",
        shared: bool = True,
        back: bool = False,
    ) -> Stream:
        """Find the stream whose newest version this model is; a model that no stream has is published.

        It goes into the stream of the record's name. Where another model went there at the same moment, so that every
        node gets its own, it goes into a stream of its own per node: two such models are no versions of one another.

        Parameters
        ----------
        name : str
            Of the record.
        model : mapping of str to ndarray
            What a strategy made; floats that it widened get the dtypes back that the stream has.
        config : DomConfig
            How to code it.
        node : int
            Who is to receive it.
        moment : object
            Equal for messages of one round.
        kind : {"model", "lossy", "data"}, default "model"
            "model": it may lose precision once it is known that nodes train it (see `_may_lose`); "lossy": it may;
            "data": it may not.
        shared : bool, default True
            Whether several nodes get this model.
        back : bool
            Whether what quantisation loses is added to the next version.
        """
        own = self._own(name, model, moment)
        newest = self.stream(own).newest
        model = model if newest is None else restored(model, newest.model)
        value = digest(model)
        coding = config if self._may_lose(own, model, kind, shared=shared) else exactly(config)
        for stream in self.streams.values():
            if stream.newest is not None and (
                value == stream.newest.digest or (not coding.lossless and value == self.made.get(stream.name))
            ):
                return stream
        if f"{own}@{node}" in self.streams or self._moments.get(own, _NEVER) == moment:
            own = f"{own}@{node}"
            coding = config if self._may_lose(own, model, kind, shared=False) else exactly(config)
        self._moments[own] = moment
        if shared and self.stream(own).newest is None:
            self.shared.add(own)
        return self._publish(self.stream(own), model, value, coding, back=back and not coding.lossless)

    def continues(self, name: str, model: Model) -> bool:
        """Tell whether a record goes on where the stream of its name is, whatever message it is in."""
        stream = self.streams.get(name)
        return stream is not None and stream.newest is not None and is_near(model, stream.newest.model)

    def is_newest(self, digest: str) -> bool:
        """Tell whether a version is the newest of one of the streams."""
        return any(stream.newest is not None and stream.newest.digest == digest for stream in self.streams.values())

    def note_trained(self, base: str) -> None:
        """Note that a node sent the next version of a version (by its digest): what is in that stream is trained."""
        for stream in self.streams.values():
            if stream.leads_to(base):
                self.trained.add(stream.name)

    def _may_lose(self, stream: str, model: Model, kind: Kind, *, shared: bool) -> bool:
        """Tell whether the next version of a stream may lose precision.

        A stream that nodes train may: replies have been versions of what they got. Until that is known, so may a model
        that goes to several nodes, unless it is so small that it may be anything and costs little.
        """
        if kind != "model" or stream in self.trained:
            return kind != "data"
        newest = self.stream(stream).newest
        if newest is None:
            weights = (a.size for a in model.values() if is_float(a.dtype) and not is_vector(a.shape))
            return shared and sum(weights) >= LEAST_WEIGHTS
        return stream in self.shared and is_near(model, newest.model)

    def _own(self, name: str, model: Model, moment: object) -> str:
        """Name the stream for a record: Flower's legacy loop calls the same model otherwise when it is evaluated."""
        own = f"{name}@server" if name in self.owners else name
        if own in self.streams:
            return own
        others = (s for s in self.streams.values() if s.name in self.made and self._moments.get(s.name, _NEVER) != moment)
        near = (s.name for s in others if s.newest is not None and is_near(model, s.newest.model, limit=0.25))
        return next(near, own)

    def _publish(self, stream: Stream, model: Model, value: str, config: DomConfig, *, back: bool) -> Stream:
        stream.config = on_lattice(config)
        first, carried = stream.newest is None, self._carried(stream.name, model) if back else {}
        stream.publish(carry(model, carried))
        self.made[stream.name] = value
        if back and not first:  # what a keyframe lost is not to come back: training started without it
            assert stream.newest is not None
            left = Version.of(residual_of(model, carried, stream.newest.model))
            self.store.put(left)
            self._residuals[stream.name] = left.digest
        return stream

    def _carried(self, stream: str, model: Model) -> Model:
        """Give what quantisation lost of the stream's last version."""
        left = self.store.get(self._residuals[stream]) if stream in self._residuals else None
        return {} if left is None else fitting(left.model, model)

    # Up ---------------------------------------------------------------------------------------------------------------

    def receive(self, name: str, payload: bytes, *, node: int) -> Version:
        """Take a node's new version of its stream; the first node that publishes a stream owns it."""
        if self.owners.setdefault(name, node) != node:
            raise Untrusted(f"node {node} published into stream {name!r} of node {self.owners[name]}: refused")
        stream = self.stream(name)
        stream.accept(payload)
        assert stream.newest is not None
        return stream.newest

    def one_shot(self, payload: bytes, base: str) -> tuple[Version, Version | None]:
        """Decode a payload that belongs to no stream; returns it and the version that it builds on."""
        held = self.version(base) if base else None
        return accept(payload, base=held), held

    def version(self, value: str) -> Version:
        """Give a version by its digest, the same object to everyone who asks while one of them holds it.

        Raises
        ------
        UnknownBase
            If it is not held.
        """
        for stream in self.streams.values():
            if stream.newest is not None and stream.newest.digest == value:
                return stream.newest
        found = self._versions.get(value) or self.store.get(value)
        if found is None:
            raise UnknownBase(f"a reply builds on version {value[:8]}, which the server does not hold (any more)")
        self._versions[value] = found
        return found

    # Nodes ------------------------------------------------------------------------------------------------------------

    def have(self) -> dict[str, str]:
        """Give the newest version that nodes published, by stream."""
        return {
            name: stream.newest.digest
            for name, stream in self.streams.items()
            if name not in self.made and stream.newest is not None
        }

    def acknowledge(self, node: int, digests: dict[str, str]) -> None:
        """Note what a node holds."""
        self.held.setdefault(node, {}).update(digests)

    def holds(self, node: int, stream: str) -> str | None:
        """Tell which version of a stream a node has acknowledged; None for none."""
        return self.held.get(node, {}).get(stream)

    def meet(self, nodes: Iterable[int]) -> None:
        """Compare a kept state with the nodes that are there; none of them known: their numbers are another run's."""
        if not set(nodes) & {*self.held, *self.owners.values()}:
            self.held.clear()
            self.owners.clear()

    # State ------------------------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Keep what a server that starts again needs; without a folder, nothing is kept."""
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        held = {str(node): digests for node, digests in self.held.items()}
        state = {"owners": self.owners, "made": self.made, "residuals": self._residuals, "held": held}
        state |= {"trained": sorted(self.trained), "shared": sorted(self.shared)}
        write_atomically(self.folder / STATE, json.dumps({"streams": list(self.streams), **state}).encode())

    def _load(self, path: Path) -> None:
        try:
            state = json.loads(path.read_bytes())
            self.owners, self.made = dict(state["owners"]), dict(state["made"])
            self._residuals = dict(state["residuals"])
            self.held = {int(node): dict(digests) for node, digests in state["held"].items()}
            self.trained, self.shared = set(state["trained"]), set(state["shared"])
            names = list(state["streams"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Corrupt(
                f"{path} is no state of a DomGrid ({error!r}): remove it, and nodes get their models anew"
            ) from None
        for name in names:
            if self.stream(name).newest is None:
                self.made.pop(name, None)


def _file_name(name: str) -> str:
    """Make a folder's name of a stream's: record names may hold anything."""
    plain = "-_@." if not name.startswith(".") else "-_@"
    return "".join(c if c.isalnum() or c in plain else f"%{ord(c):x}" for c in name) or "%"
