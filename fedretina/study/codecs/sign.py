"""One bit a value: its sign, times the mean size of its row."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fedretina.study.codecs.codec import Codec, Floats, State, TensorSpec, Update
from fedretina.study.codecs.layout import Reader, as_matrix, count, is_matrix, norm
from fedretina.study.codecs.rice import pack_bits
from fedretina.study.codecs.sparse import to_half


@dataclass(frozen=True, kw_only=True)
class Sign(Codec):
    """Signs, and a half float for each row of a matrix (as BitDelta: Liu et al., NeurIPS 2024, which has one a matrix).

    Tensors of one dimension travel as half floats. BitDelta codes a finetuned model once, so there is no feedback by
    default; ``decay=1`` makes it EF-signSGD (Karimireddy et al., ICML 2019).
    """

    name = "sign"

    def pack(self, update: Mapping[str, Floats], state: State) -> bytes:
        """Code tensor by tensor: scales, then signs."""
        return b"".join(_pack(values, state.specs[name]) for name, values in update.items())

    def unpack(self, data: bytes, state: State) -> Mapping[str, Floats]:
        """Read tensor by tensor."""
        reader = Reader(data)
        found = {name: _unpack(reader, spec).reshape(spec.shape) for name, spec in state.specs.items()}
        reader.finish()
        return found

    def largest_error(self, update: Update) -> float:
        """Return the norm of the update: sending it is never worse than sending nothing, but for half floats' rounding."""
        return norm(update) * 1.001 + 2.0**-24 * math.sqrt(count(update))


def _pack(values: Floats, spec: TensorSpec) -> bytes:
    if not is_matrix(spec):
        return to_half(values.reshape(-1)).tobytes()
    rows = as_matrix(values)
    return to_half(np.abs(rows).mean(axis=1)).tobytes() + pack_bits(rows < 0)


def _unpack(reader: Reader, spec: TensorSpec) -> Floats:
    if not is_matrix(spec):
        return reader.take("<f2", spec.size).astype(np.float32)
    scales = reader.take("<f2", spec.shape[0]).astype(np.float32)
    negative = np.unpackbits(reader.take(np.uint8, -(-spec.size // 8)))[: spec.size]
    signs = np.where(negative, np.float32(-1), np.float32(1)).reshape(spec.shape[0], -1)
    return signs * scales[:, None]
