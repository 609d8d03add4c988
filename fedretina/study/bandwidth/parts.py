"""What our bytes consist of: integers of weights, vectors, headers, up and down. It names the term that limits a codec."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

from fedretina.dom import is_vector
from fedretina.study.bandwidth.cells import Cell
from fedretina.study.bandwidth.federation import federate
from fedretina.study.codecs import Array, Codec, State, Update
from fedretina.study.codecs.codec import Floats
from fedretina.study.codecs.dom import Dom
from fedretina.study.results import Results

ROUNDS = 3
DIRECTIONS, PARTS = ("up", "down"), ("integers", "vectors", "headers")
Term = tuple[str, str]


def composition(cell: Cell, *, rounds: int = ROUNDS) -> Counter[Term]:
    """Train the first rounds of a cell of ours again; return its bytes by direction and part, of all clients together.

    Vectors are norms, biases and the like, where they are coded apart. Headers are all that is no value: names, shapes,
    steps, digests, scales.
    """
    codec, found = cell.variant.make(), Counter[Term]()
    recorded = _Recorded(inner=codec, count=found, down=_Recorded(inner=codec.down or codec, direction="down", count=found))
    for _ in federate(cell.task.make(cell.plan.clients), recorded, replace(cell.plan, rounds=rounds), seed=cell.seed):
        pass
    return Counter({(way, part): n * (cell.plan.clients if way == "down" else 1) for (way, part), n in found.items()})


def stored_composition(cell: Cell, folder: Path) -> Counter[Term]:
    """Return `composition` of a cell; it is kept in a folder."""
    found = Results(folder).measured(
        cell.name, lambda: [[*term, count] for term, count in composition(cell).items()], key=cell.key
    )
    return Counter({(way, part): count for way, part, count in found})


@dataclass(frozen=True, kw_only=True)
class _Recorded(Codec):
    """A codec of ours that counts the parts of what it sends."""

    name: ClassVar[str] = "recorded"
    inner: Codec
    direction: str = "up"
    count: Counter[Term] = field(default_factory=Counter)

    def encode(self, update: Update, state: State) -> bytes:
        data = self.inner.encode(update, state)
        self.count.update({(self.direction, part): n for part, n in _parts(self.inner, data, state).items()})
        return data

    def decode(self, data: bytes, state: State) -> dict[str, Array]:
        return self.inner.decode(data, state)

    def pack(self, update: Mapping[str, Floats], state: State) -> bytes:
        return self.inner.pack(update, state)

    def unpack(self, data: bytes, state: State) -> Mapping[str, Floats]:
        return self.inner.unpack(data, state)


def _parts(codec: Codec, data: bytes, state: State) -> dict[str, int]:
    """Return the bytes of each part of what `encode` returned."""
    assert isinstance(codec, Dom)
    tensors = codec.inspect(data, state).tensors
    apart = {name for name, spec in state.specs.items() if is_vector(spec.shape)}
    vectors = round(sum(tensor.bytes for tensor in tensors if tensor.name in apart))
    values = round(sum(t.bytes for t in tensors))
    return {"integers": values - vectors, "vectors": vectors, "headers": len(data) - values}
