"""One tensor to its coding: on steps (lossy), or bit-exact by whatever is cheapest."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from fedretina.dom.coding import BITS, RAW, SAME, STEPS, Coding
from fedretina.dom.config import DomConfig
from fedretina.dom.integers import narrow, pack
from fedretina.dom.layout import candidates, pack_laid_out
from fedretina.dom.lossless import common_unit, difference_of_bits
from fedretina.dom.quantise import Pair
from fedretina.dom.steps import Choice, FixedStep, LatticeStep, RelativeStep, Scale, Step
from fedretina.dom.tensors import Array, is_float, words

_POOL_BELOW = 2048  # elements; a piece of one's own costs some 35 bytes
_TINY, _HUGE = 2.0**-400, 2.0**400  # outside, squares leave float64: such differences travel bit-exact
_SPARE_BITS = 12  # integers that need so many bits less than the dtype beat its raw bits without a trial


@dataclass(frozen=True)
class Coded:
    """A tensor as the payload holds it, and as the decoder will restore it."""

    coding: Coding
    restored: Array
    step: Step | None = None
    integers: Array | None = None
    pieces: list[bytes] = field(default_factory=list)
    offsets: bytes = b""

    @property
    def size(self) -> int:
        """The bytes of the tensor's own pieces."""
        return sum(map(len, self.pieces))


def code_tensor(new: Array, base: Array | None, config: DomConfig) -> Coded:
    """Code one tensor; `base` has its dtype and shape, or is None."""
    pair = Pair(new.reshape(-1), None if base is None else base.reshape(-1))
    if config.lossless or not is_float(new.dtype):
        return _code_exactly(pair, new, base, config)
    scale = Scale.of(pair)
    if not scale.difference:
        return _same(new, base)
    target = config.keyframe_error if base is None else config.relative_error
    choose = _choice(new, base, config)
    found = choose(pair, scale, target) if _TINY < scale.difference < _HUGE else None
    if found is None:
        return _code_exactly(pair, new, base, config)
    step, quantised = found
    if not quantised.integers.any():
        return _same(new, base)
    restored = quantised.restored.reshape(new.shape)
    coded = _on_steps(step, quantised.integers, restored, config, offsets=quantised.offsets)
    return coded if coded.size < max(new.nbytes, 1) else _code_exactly(pair, new, base, config)


def _choice(new: Array, base: Array | None, config: DomConfig) -> Choice:
    if config.lattice:
        return LatticeStep(config)
    centre = config.rounding == "deadzone" and new.size >= _POOL_BELOW
    if config.bits is not None and base is not None:
        return FixedStep(config, centre)
    return RelativeStep(config, centre)


def _same(new: Array, base: Array | None) -> Coded:
    return Coded(Coding(SAME), np.zeros(new.shape, new.dtype) if base is None else base)


def _on_steps(step: Step, integers: Array, restored: Array, config: DomConfig, *, offsets: bytes) -> Coded:
    integers = narrow(integers)  # narrow ones are sorted several times faster
    if integers.size < _POOL_BELOW:
        return Coded(Coding(STEPS, pooled=True), restored, step, integers)
    trials = (
        Coded(
            Coding(STEPS, layout=layout),
            restored,
            step,
            pieces=pack_laid_out(integers, restored.shape, layout, config.effort),
            offsets=offsets,
        )
        for layout in candidates(restored.shape, integers.size, config.effort)
    )
    return min(trials, key=lambda coded: coded.size)


def _code_exactly(pair: Pair, new: Array, base: Array | None, config: DomConfig) -> Coded:
    """Code a tensor bit-exact: nothing, integers on a common unit, differences of bits, or raw bytes."""
    unchanged = not words(new).any() if base is None else np.array_equal(words(new), words(base))
    if unchanged:
        return _same(new, base)
    best = min(_exact_trials(pair, new, config), key=lambda coded: coded.size)
    if best.coding.pooled or best.size < new.nbytes:
        return best
    return Coded(Coding(RAW), best.restored, pieces=[new.tobytes()])


def _exact_trials(pair: Pair, new: Array, config: DomConfig) -> Iterator[Coded]:
    """Yield the exact codings worth comparing; stop after one that cannot be beaten."""
    restored = new.copy()
    unit = common_unit(pair) if is_float(new.dtype) else None
    if unit is not None:
        exponent, integers = unit
        yield _on_steps(Step(exponent), integers, restored, config, offsets=b"")
        needed = int(np.abs(integers).max()).bit_length() + 1
        if integers.size < _POOL_BELOW or needed <= 8 * new.dtype.itemsize - _SPARE_BITS:
            return
    differences = difference_of_bits(pair)
    if differences.size < _POOL_BELOW:
        yield Coded(Coding(BITS, pooled=True), restored, integers=differences)
    else:
        yield Coded(Coding(BITS), restored, pieces=pack(differences, config.effort))
