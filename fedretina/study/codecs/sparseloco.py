"""SparseLoCo: the largest values of every chunk, two bits each."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fedretina.errors import BadArgument, Corrupt
from fedretina.study.codecs.codec import Codec, Floats, State, TensorSpec, Update
from fedretina.study.codecs.layout import Reader, norm
from fedretina.study.codecs.rice import Indices, pack_indices, pack_integers, unpack_indices, unpack_integers
from fedretina.study.codecs.sparse import to_half

CHUNK, _SIDE = 4096, 64
_BINS, _SIGMAS = 4, 6
_RATIO = _SIGMAS / _BINS


@dataclass(frozen=True, kw_only=True)
class SparseLoCo(Codec):
    """The k largest of every 4,096 values, in 12 + 2 bits each (Sarfi, Therien, Lidin, Belilovsky, arXiv 2508.15706).

    Matrices are cut into blocks of 64 x 64 where their sides allow it, other tensors into runs of 4,096 values. The four
    bins are a step of 1.5 standard deviations wide; a tensor's table holds the mean of each, as in the authors' code.
    ``positions="rice"`` codes gaps instead: in the scheme's favour, by a third of its bytes. The paper's outer step is plain
    averaging; `decay` is its beta.
    """

    name = "sparseloco"
    k: int = 64
    positions: Literal["fixed", "rice"] = "fixed"
    decay: float | None = 0.95

    def __post_init__(self) -> None:
        if not 1 <= self.k <= CHUNK or self.positions not in ("fixed", "rice"):
            raise BadArgument(
                f"SparseLoCo has k={self.k!r}, positions={self.positions!r}; allowed: 1 to {CHUNK}, 'fixed' or 'rice'"
            )

    def pack(self, update: Mapping[str, Floats], state: State) -> bytes:
        """Code tensor by tensor: the table, then the chunks' positions and values."""
        return b"".join(self._pack(values) for values in update.values() if values.size)

    def unpack(self, data: bytes, state: State) -> Mapping[str, Floats]:
        """Read tensor by tensor."""
        reader = Reader(data)
        found = {name: self._unpack(reader, spec) for name, spec in state.specs.items()}
        reader.finish()
        return found

    def largest_error(self, update: Update) -> float:
        """Return the norm of the update: values become the means of their bins, others 0."""
        return norm(update) * 1.001 + 1e-6

    def _pack(self, values: Floats) -> bytes:
        groups = chunks_of(values)
        at = [largest_in_rows(group, self._count(group.shape[1])) for group in groups]
        chosen = np.concatenate([np.take_along_axis(g, a, 1).reshape(-1) for g, a in zip(groups, at, strict=True)])
        bins = _bins(chosen)
        parts = [to_half(_means(chosen, bins)).tobytes()]
        parts += [self._pack_positions(a, group.shape[1]) for a, group in zip(at, groups, strict=True)]
        return b"".join([*parts, pack_integers(bins, 2)])

    def _unpack(self, reader: Reader, spec: TensorSpec) -> Floats:
        groups = chunks_of(np.zeros(spec.shape, np.float32))
        if not groups:
            return np.zeros(spec.shape, np.float32)
        means = reader.take("<f2", _BINS).astype(np.float32)
        at = [self._take_positions(reader, *group.shape) for group in groups]
        total = sum(a.size for a in at)
        values = means[unpack_integers(reader.take(np.uint8, -(-total // 4)).tobytes(), total, 2)]
        ends = np.cumsum([a.size for a in at])[:-1]
        for group, a, part in zip(groups, at, np.split(values, ends), strict=True):
            np.put_along_axis(group, a, part.reshape(a.shape), 1)
        return join_chunks(groups, spec)

    def _count(self, length: int) -> int:
        """Return how many values of a chunk are sent: in proportion where it is shorter than 4,096, at least one."""
        return math.ceil(self.k * length / CHUNK)

    def _pack_positions(self, at: Indices, length: int) -> bytes:
        if self.positions == "fixed":
            return pack_integers(at, _bits(length))
        data = pack_indices((at + length * np.arange(len(at))[:, None]).reshape(-1), len(at) * length)
        return np.array(len(data), "<u4").tobytes() + data

    def _take_positions(self, reader: Reader, rows: int, length: int) -> Indices:
        count = self._count(length)
        if self.positions == "fixed":
            data = reader.take(np.uint8, -(-rows * count * _bits(length) // 8)).tobytes()
            at = unpack_integers(data, rows * count, _bits(length)).reshape(rows, count)
        else:
            data = reader.take(np.uint8, int(reader.take("<u4", 1)[0])).tobytes()
            at = (
                unpack_indices(data, rows * count, rows * length)[0].reshape(rows, count) - length * np.arange(rows)[:, None]
            )
        if at.min() < 0 or at.max() >= length:
            raise Corrupt(f"the update has a position outside of its chunk of {length} values; drop it")
        return at


def chunks_of(values: Floats) -> list[Floats]:
    """Return a tensor as rows of 4,096 values, each a block where there are blocks; what is left is one shorter row."""
    if _has_blocks(values.shape):
        rows, columns = values.shape[0], values[0].size
        blocks = values.reshape(rows // _SIDE, _SIDE, columns // _SIDE, _SIDE).transpose(0, 2, 1, 3)
        return [blocks.reshape(-1, CHUNK)]
    flat = values.reshape(-1)
    whole = flat.size // CHUNK * CHUNK
    parts = [flat[:whole].reshape(-1, CHUNK), flat[whole:].reshape(1, -1)]
    return [part for part in parts if part.size]


def join_chunks(groups: list[Floats], spec: TensorSpec) -> Floats:
    """Return the tensor of `chunks_of`."""
    if _has_blocks(spec.shape):
        rows, columns = spec.shape[0], spec.size // spec.shape[0]
        blocks = groups[0].reshape(rows // _SIDE, columns // _SIDE, _SIDE, _SIDE).transpose(0, 2, 1, 3)
        return blocks.reshape(spec.shape)
    return np.concatenate([group.reshape(-1) for group in groups]).reshape(spec.shape)


def largest_in_rows(rows: Floats, count: int) -> Indices:
    """Return where the `count` largest of each row are, rising."""
    length = rows.shape[1]
    return np.sort(np.argpartition(np.abs(rows), length - count, axis=1)[:, length - count :], axis=1)


def _has_blocks(shape: tuple[int, ...]) -> bool:
    size = math.prod(shape)
    return len(shape) >= 2 and size > 0 and shape[0] % _SIDE == 0 and size // shape[0] % _SIDE == 0


def _bits(length: int) -> int:
    """Return how many bits a position in a chunk takes: 12 of 4,096."""
    return (length - 1).bit_length()


def _bins(values: Floats) -> Indices:
    """Return the bin of each value: uniform ones around the mean, six standard deviations in all."""
    centred = values - values.mean(dtype=np.float64)
    deviation = float(np.sqrt(np.square(centred).sum() / max(1, values.size - 1)))
    steps = centred / (_RATIO * deviation or 1)
    bins: Indices = np.rint(steps + _BINS // 2).clip(0, _BINS - 1).astype(np.int64)
    return bins


def _means(values: Floats, bins: Indices) -> Floats:
    counts = np.bincount(bins, minlength=_BINS)
    sums = np.bincount(bins, weights=values, minlength=_BINS)
    return (sums / np.maximum(counts, 1)).astype(np.float32)
