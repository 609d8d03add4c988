"""One tensor to its coding: on steps (lossy), or bit-exact by whatever is cheapest."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from fedretina.dom.coding import BITS, RAW, SAME, STEPS, Coding, Spec
from fedretina.dom.config import DomConfig
from fedretina.dom.digest import digest_bits
from fedretina.dom.integers import narrow, pack
from fedretina.dom.layouts import pack_best
from fedretina.dom.lossless import common_unit, difference_of_bits
from fedretina.dom.quantise import Pair
from fedretina.dom.steps import Choice, Step, choice_of
from fedretina.dom.tensors import Array, is_float, words
from fedretina.dom.trial import LARGE, Trial

_TINY, _HUGE = 2.0**-400, 2.0**400  # outside, squares leave float64: such differences travel bit-exact
_SPARE_BITS = 12  # integers that need so many bits less than the dtype beat its raw bits without a trial


@dataclass(frozen=True)
class Coded:
    """A tensor as the payload holds it, and as the decoder will restore it.

    `error` is ``||d - d^|| / ||d||`` and `energy` ``||d||**2``; both are 0 where the tensor is exact.
    """

    spec: Spec
    coding: Coding
    restored: Array | None
    digest: bytes = b""
    step: Step | None = None
    integers: Array | None = None
    pieces: list[bytes] = field(default_factory=list)
    offsets: bytes = b""
    error: float = 0.0
    energy: float = 0.0

    @property
    def size(self) -> int:
        """The bytes of the tensor's own pieces."""
        return sum(map(len, self.pieces))


def code_tensor(
    name: str, new: Array, base: Array | None, config: DomConfig, *, choice: Choice | None = None, keep: bool = True
) -> Coded:
    """Code one tensor; `base` has its dtype and shape, or is None.

    `choice` says which step it gets, if not what the configuration says. Without `keep`, what the decoder will restore is
    hashed and let go.
    """
    coded = _code(Spec(name, new.dtype, new.shape), new, base, config, choice)
    assert coded.restored is not None
    return replace(coded, digest=digest_bits(coded.restored), restored=coded.restored if keep else None)


def _code(spec: Spec, new: Array, base: Array | None, config: DomConfig, choice: Choice | None) -> Coded:
    pair = Pair(new.reshape(-1), None if base is None else base.reshape(-1))
    if config.lossless or not is_float(new.dtype):
        return _code_exactly(spec, pair, new, base, config)
    trial = Trial.of(pair, new.shape, config)
    if not trial.scale.difference:
        return _same(spec, new, base)
    choose = choice or choice_of(config, has_base=base is not None)
    found = choose(trial) if _TINY < trial.scale.difference < _HUGE else None
    if found is None:
        return _code_exactly(spec, pair, new, base, config)
    step, quantised = found
    if not quantised.integers.any():
        return replace(_same(spec, new, base), error=1.0, energy=quantised.energy)
    restored = quantised.restored.reshape(new.shape)
    coded = _on_steps(spec, step, quantised.integers, restored, config, offsets=quantised.offsets)
    coded = replace(coded, error=quantised.error, energy=quantised.energy)
    return coded if coded.size < max(new.nbytes, 1) else _code_exactly(spec, pair, new, base, config)


def _same(spec: Spec, new: Array, base: Array | None) -> Coded:
    return Coded(spec, Coding(SAME), np.zeros(new.shape, new.dtype) if base is None else base)


def _on_steps(spec: Spec, step: Step, integers: Array, restored: Array, config: DomConfig, *, offsets: bytes) -> Coded:
    integers = narrow(integers)
    if integers.size < LARGE:
        return Coded(spec, Coding(STEPS, pooled=True), restored, step=step, integers=integers)
    layout, pieces = pack_best(integers, spec.shape, config.effort)
    return Coded(spec, Coding(STEPS, layout=layout), restored, step=step, pieces=pieces, offsets=offsets)


def _code_exactly(spec: Spec, pair: Pair, new: Array, base: Array | None, config: DomConfig) -> Coded:
    """Code a tensor bit-exact: nothing, integers on a common unit, differences of bits, or raw bytes."""
    unchanged = not words(new).any() if base is None else np.array_equal(words(new), words(base))
    if unchanged:
        return _same(spec, new, base)
    best = min(_exact_trials(spec, pair, new, config), key=lambda coded: coded.size)
    if best.coding.pooled or best.size < new.nbytes:
        return best
    return Coded(spec, Coding(RAW), best.restored, pieces=[new.tobytes()])


def _exact_trials(spec: Spec, pair: Pair, new: Array, config: DomConfig) -> Iterator[Coded]:
    """Yield the exact codings worth comparing; stop after one that cannot be beaten."""
    restored = new.copy()
    unit = common_unit(pair) if is_float(new.dtype) else None
    if unit is not None:
        exponent, integers = unit
        yield _on_steps(spec, Step(exponent), integers, restored, config, offsets=b"")
        needed = int(np.abs(integers).max()).bit_length() + 1
        if integers.size < LARGE or needed <= 8 * new.dtype.itemsize - _SPARE_BITS:
            return
    differences = difference_of_bits(pair)
    if differences.size < LARGE:
        yield Coded(spec, Coding(BITS, pooled=True), restored, integers=differences)
    else:
        yield Coded(spec, Coding(BITS), restored, pieces=pack(differences, config.effort))
