"""Few values of many: top-k with half floats, and sparse ternary compression."""

import struct

import numpy as np

from codec.schemes.base import Payload, TensorScheme
from codec.schemes.golomb import Indices, pack_bits, pack_indices, unpack_indices
from codec.update import Array, Floats, Model, Update

_COUNT = struct.Struct("<I")


class SparseScheme(TensorScheme):
    """Sends the largest values of all matrices together: which, and roughly how large.

    The matrices are one vector here, so a tensor that moves more gets more of the values, as in the papers.
    """

    def __init__(self, share: float) -> None:
        self.share = share
        self.label = f"{100 * share:g} %"

    def encode(self, update: Update) -> Payload:
        """Code the matrices as one vector, then what else there is."""
        matrices = np.concatenate([update.delta[name].reshape(-1) for name in update.matrices])
        rest = [name for name in sorted(update.new) if name not in set(update.matrices)]
        return [self.pack(matrices), *(self._encode(update.new[name], update.base[name]) for name in rest)]

    def decode(self, payload: Payload, base: Model) -> dict[str, Array]:
        """Add the differences to the base."""
        names = [name for name in sorted(base) if base[name].dtype.kind == "f" and base[name].ndim >= 2]
        sizes = [base[name].size for name in names]
        parts = np.split(self.unpack(payload[0], sum(sizes)), np.cumsum(sizes)[:-1])
        model = {name: base[name] + part.reshape(base[name].shape) for name, part in zip(names, parts, strict=True)}
        rest = [name for name in sorted(base) if name not in model]
        return model | {name: self._decode(data, base[name]) for name, data in zip(rest, payload[1:], strict=True)}

    def _largest(self, values: Floats) -> Indices:
        count = max(1, round(self.share * values.size))
        return np.sort(np.argpartition(np.abs(values), values.size - count)[values.size - count :])


class TopK(SparseScheme):
    """The largest values as half floats, the gaps between them in Rice's code (Aji and Heafield, EMNLP 2017, coded)."""

    family = "top-k"

    def pack(self, values: Floats) -> bytes:
        at = self._largest(values)
        return _COUNT.pack(at.size) + pack_indices(at, values.size) + values[at].astype("<f2").tobytes()

    def unpack(self, data: bytes, count: int) -> Floats:
        (sent,) = _COUNT.unpack_from(data)
        at, used = unpack_indices(data[_COUNT.size :], sent, count)
        values = np.zeros(count, np.float32)
        values[at] = np.frombuffer(data, "<f2", offset=_COUNT.size + used)
        return values


class SparseTernary(SparseScheme):
    """The largest values' signs times their mean size, the gaps in Rice's code (STC: Sattler et al., TNNLS 2020)."""

    family = "STC"

    def pack(self, values: Floats) -> bytes:
        at = self._largest(values)
        mean = np.float32(np.abs(values[at]).mean())
        head = _COUNT.pack(at.size) + mean.tobytes()
        return head + pack_indices(at, values.size) + pack_bits(values[at] < 0)

    def unpack(self, data: bytes, count: int) -> Floats:
        (sent,) = _COUNT.unpack_from(data)
        mean = np.frombuffer(data, "<f4", count=1, offset=_COUNT.size)[0]
        start = _COUNT.size + 4
        at, used = unpack_indices(data[start:], sent, count)
        negative = np.unpackbits(np.frombuffer(data, np.uint8, offset=start + used))[:sent]
        values = np.zeros(count, np.float32)
        values[at] = np.where(negative, -mean, mean)
        return values
