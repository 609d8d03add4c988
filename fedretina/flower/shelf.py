"""The streams that a server holds, and which version of each every node has acknowledged."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from fedretina.dom import DomConfig, Model, ReferenceStore, Stream, Version, accept, digest
from fedretina.errors import Untrusted


@dataclass
class Shelf:
    """All streams of a run, by name.

    Parameters
    ----------
    config : DomConfig
        How versions are coded. Streams put them on a lattice, unless `bits` asks for the paper's absolute steps.
    store : ReferenceStore
        The versions themselves.
    made : dict of str to str
        For each stream whose maker is the server: digest of the model that its newest version was made of.
    folder : Path, optional
        Where the payloads are kept; None keeps them in memory.
    """

    config: DomConfig
    store: ReferenceStore
    folder: Path | None = None
    streams: dict[str, Stream] = field(default_factory=dict)
    owners: dict[str, int] = field(default_factory=dict)
    made: dict[str, str] = field(default_factory=dict)
    held: dict[int, dict[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.config = replace(self.config, lattice=self.config.bits is None)

    def stream(self, name: str) -> Stream:
        """Give the stream of that name, opened if need be."""
        if name not in self.streams:
            folder = self.folder / name if self.folder is not None else None
            self.streams[name] = Stream(name, store=self.store, config=self.config, folder=folder)
        return self.streams[name]

    def place(self, name: str, model: Model) -> Stream:
        """Find the stream whose newest version this model is; a model that no stream has is published under the name."""
        value = digest(model)
        for stream in self.streams.values():
            if stream.newest is not None and value in (stream.newest.digest, self.made.get(stream.name)):
                return stream
        own = self.stream(f"{name}@server" if name in self.owners else name)
        own.publish(model)
        self.made[own.name] = value
        return own

    def receive(self, name: str, payload: bytes, *, node: int) -> Version:
        """Take a node's new version of its stream; the first node that publishes a stream owns it."""
        if self.owners.setdefault(name, node) != node:
            raise Untrusted(f"node {node} published into stream {name!r} of node {self.owners[name]}: refused")
        stream = self.stream(name)
        stream.accept(payload)
        assert stream.newest is not None
        return stream.newest

    def one_shot(self, payload: bytes, base: str) -> Version:
        """Decode a payload that belongs to no stream against the version that it names."""
        return accept(payload, base=self.store.get(base) if base else None)

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
