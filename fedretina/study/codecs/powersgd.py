"""PowerSGD: two thin factors of every matrix, by one step of the power method a round."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fedretina.study.codecs.codec import Codec, Floats, State, TensorSpec, Update
from fedretina.study.codecs.layout import Reader, as_matrix, count, is_matrix, norm
from fedretina.study.codecs.sparse import to_half

_FACTORS = "factors"


@dataclass(frozen=True, kw_only=True)
class PowerSgd(Codec):
    """M is sent as P Q^T, P = orthogonalised M Q, Q = M^T P, begun with the Q before (Vogels et al., NeurIPS 2019).

    The factors are half floats where the paper has float32: in the scheme's favour. Tensors of one dimension are not
    compressed in the paper, and half floats here.
    """

    name = "powersgd"
    rank: int = 2
    decay: float | None = 1.0

    def pack(self, update: Mapping[str, Floats], state: State) -> bytes:
        """Code tensor by tensor: P, then Q. The sender keeps Q."""
        rng = np.random.default_rng(state.seed)
        return b"".join(self._pack(name, values, state, rng) for name, values in update.items())

    def unpack(self, data: bytes, state: State) -> Mapping[str, Floats]:
        """Multiply the factors."""
        reader = Reader(data)
        found = {name: self._unpack(reader, spec).reshape(spec.shape) for name, spec in state.specs.items()}
        reader.finish()
        return found

    def largest_error(self, update: Update) -> float:
        """Return the norm of the update: P Q^T is its projection on P, but for half floats' rounding."""
        return norm(update) * (1 + 2.0**-9 * self.rank) + 2.0**-23 * math.sqrt(count(update))

    def _pack(self, name: str, values: Floats, state: State, rng: np.random.Generator) -> bytes:
        spec = state.specs[name]
        if not is_matrix(spec):
            return to_half(values.reshape(-1)).tobytes()
        matrix, (_, columns, rank) = as_matrix(values), self._shape(spec)
        drawn = rng.normal(size=(columns, rank)).astype(np.float32)
        factors = state.memory.setdefault(_FACTORS, {})
        p = to_half(np.linalg.qr(matrix @ factors.get(name, drawn))[0])
        q = matrix.T @ p.astype(np.float32)
        if q.any():  # from zeros, no step of the power method leads away
            factors[name] = q
        return p.tobytes() + to_half(q).tobytes()

    def _unpack(self, reader: Reader, spec: TensorSpec) -> Floats:
        if not is_matrix(spec):
            return reader.take("<f2", spec.size).astype(np.float32)
        rows, columns, rank = self._shape(spec)
        p = reader.take("<f2", rows * rank).reshape(rows, rank).astype(np.float32)
        q = reader.take("<f2", columns * rank).reshape(columns, rank).astype(np.float32)
        found: Floats = p @ q.T
        return found

    def _shape(self, spec: TensorSpec) -> tuple[int, int, int]:
        """Return rows, columns and the rank, which neither is smaller than."""
        rows, columns = spec.shape[0], spec.size // spec.shape[0]
        return rows, columns, min(self.rank, rows, columns)
