"""Ours on a rotated update: very coarse steps, right in the mean, and sums of clients' updates that stay sparse."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fedretina.dom import DomConfig, PayloadInfo, decode, encode, inspect
from fedretina.errors import BadArgument
from fedretina.study.codecs.codec import Array, Codec, Floats, State, Update
from fedretina.study.codecs.layout import Reader, count, flatten, norm, split
from fedretina.study.codecs.rotation import rotate, unbiased_scale, unrotate

_ROTATIONS = 2022
_NAME = "w"
_SMALLEST = -126  # the exponent of float32's smallest normal number


@dataclass(frozen=True, kw_only=True)
class DomRotated(Codec):
    """The update as one vector, rotated at random, coded by `fedretina.dom` with one step, and scaled to be unbiased.

    The rotation and the scale are EDEN's (Vargaftik et al., ICML 2022). Three things are not:

    - The integers are 0 but for the largest values, and entropy-coded.
    - Each tensor is divided by the power of two nearest to its RMS, which travels too. So errors are in proportion to the
      tensor's own update.
    - All channels rotate alike in a round. So the sum of the clients' updates is sparse in the rotated space too, and the
      server's step costs few bytes without another loss.

    Parameters
    ----------
    rms_step : float, default 4
        The step, as a multiple of the RMS of the vector: values of more than half of it are sent.

    Notes
    -----
    The rotation is part of the studies, not of `fedretina.dom`. There is no error feedback, as the errors have mean 0.
    """

    name = "dom-rotated"
    rms_step: float = 4.0

    def __post_init__(self) -> None:
        if self.decay is not None:
            raise BadArgument(f"codec {self.name!r} has decay={self.decay!r}; allowed: none, as it is unbiased; omit it")
        self._config()

    def pack(self, update: Mapping[str, Floats], state: State) -> bytes:
        """Code the tensors' exponents, the factor that makes it unbiased, then the rotated vector."""
        exponents = _exponents(update)
        vector = rotate(flatten(_scaled(update, -exponents)), _rotation(state))
        zeros = {_NAME: np.zeros_like(vector)}
        data = encode({_NAME: vector}, base=zeros, config=self._config())
        factor = unbiased_scale(vector, decode(data, base=zeros)[_NAME])
        return exponents.astype(np.int8).tobytes() + np.array(factor, "<f4").tobytes() + data

    def inspect(self, data: bytes, state: State) -> PayloadInfo:
        """Return what the payload says of itself, which follows exponents and factor."""
        return inspect(data[len(state.specs) + 4 :], base={_NAME: np.zeros(state.size, np.float32)})

    def unpack(self, data: bytes, state: State) -> Mapping[str, Floats]:
        """Decode, scale, and rotate back."""
        reader = Reader(data)
        exponents = reader.take(np.int8, len(state.specs)).astype(np.int64)
        factor = reader.take("<f4", 1)[0]
        vector = decode(reader.rest(), base={_NAME: np.zeros(state.size, np.float32)})[_NAME]
        return _scaled(split(unrotate(factor * vector, _rotation(state)), state), exponents)

    def largest_error(self, update: Update) -> float:
        """Return the bound for the worst rotation, in which one value is sent; the mean error is far below.

        An error of the scaled vector may fall on the tensor with the largest scale: the ratio of scales counts too.
        """
        exponents = _exponents({name: values.astype(np.float32) for name, values in update.items() if values.any()})
        spread = float(np.exp2(np.ptp(exponents))) if exponents.size else 1.0
        return 2 * spread * norm(update) * max(1.0, 2 * math.sqrt(count(update)) / self.rms_step)

    def _config(self) -> DomConfig:
        return DomConfig(rms_step=self.rms_step, vector_error=None)


def _rotation(state: State) -> tuple[int, int]:
    """Return the seed of this round's rotation, which is the same in all channels."""
    return (_ROTATIONS, state.rounds)


def _exponents(update: Mapping[str, Floats]) -> Array:
    """Return the exponent of two nearest to the RMS of each tensor, on a log scale; 0 for zeros."""
    roots = [math.sqrt(float(np.square(v, dtype=np.float64).sum()) / max(1, v.size)) for v in update.values()]
    return np.array([max(_SMALLEST, min(127, round(math.log2(root)))) if root else 0 for root in roots], np.int64)


def _scaled(update: Mapping[str, Floats], exponents: Array) -> dict[str, Floats]:
    """Multiply tensors by powers of two."""
    pairs = zip(update.items(), exponents, strict=True)
    return {name: np.ldexp(values, exponent).astype(np.float32) for (name, values), exponent in pairs}
