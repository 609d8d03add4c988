"""One tensor to its coding: on steps (lossy), or bit-exact by whatever is cheapest."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from fedretina.dom.coding.integers import narrow
from fedretina.dom.coding.layout import MIN_SORTABLE_VALUES
from fedretina.dom.coding.order import Sorting
from fedretina.dom.coding.packing import pack_best, pack_trellis
from fedretina.dom.config import DomConfig
from fedretina.dom.format.bits import layouts_of, pack_bits
from fedretina.dom.format.spec import BITS, LOST, PREDICTED, RAW, SAME, STEPS, Coding, Spec
from fedretina.dom.prediction.factors import Factors
from fedretina.dom.quantisation.lossless import common_unit, difference_of_bits
from fedretina.dom.quantisation.quantise import Pair, Quantised
from fedretina.dom.quantisation.steps import Step, StepChooser, step_chooser
from fedretina.dom.quantisation.trial import MIN_OWN_GROUP, Trial
from fedretina.dom.quantisation.vectors import is_vector, vector_step_chooser
from fedretina.dom.tensors import LARGEST, SMALLEST, Array, is_float, words
from fedretina.dom.version import digest_bits

_PROBED_VALUES = 64  # values that are looked at before all are
_FIRST_VECTORS = 0.03  # on the lattice, the error of vectors without base over that of their differences
_SPARE_BITS = 12  # integers that need so many bits less than the dtype beat its raw bits without a trial


@dataclass(frozen=True)
class CodedTensor:
    """A tensor as the payload holds it, and as the decoder will restore it.

    `factors` predict the difference, of which the integers are the residual then. `error` is ``||d - d^|| / ||d||`` and
    `energy` ``||d||**2``; both are 0 where the tensor is exact.
    """

    spec: Spec
    coding: Coding
    restored: Array | None
    digest: bytes = b""
    step: Step | None = None
    integers: Array | None = None
    pieces: list[bytes] = field(default_factory=list)
    offsets: bytes = b""
    factors: Factors | None = None
    error: float = 0.0
    energy: float = 0.0

    @property
    def size(self) -> int:
        """The bytes of the tensor's own pieces."""
        return sum(map(len, self.pieces))


def encode_tensor(
    name: str,
    new: Array,
    base: Array | None,
    config: DomConfig,
    *,
    exact: bool = False,
    chooser: StepChooser | None = None,
    predict: Callable[[Trial], Trial] | None = None,
    keep: bool = True,
) -> CodedTensor:
    """Code one tensor; `base` has its dtype and shape, or is None. With `exact` it loses nothing.

    `chooser` says which step it gets, if not what the configuration says; `predict` adds a predictor to the trial. Without
    `keep`, what the decoder will restore is hashed and let go.
    """
    spec = Spec(name, new.dtype, new.shape)
    pair = Pair.of(new, base)
    fine = is_coded_as_vector(config, new.shape)
    first = fine and base is None
    if exact or not is_float(new.dtype) or holds_whole_numbers(pair.new) or (first and not config.lattice):
        return _encode_exactly(spec, pair, config, keep)
    if fine:
        error = (config.vector_error or 0.0) * (_FIRST_VECTORS if first else 1.0)
        chooser = chooser or vector_step_chooser(error, version=config.format)
        config = config.for_vectors
    trial = Trial.of(pair, new.shape, config, keep=keep)
    if not trial.scale.difference:
        return _unchanged_tensor(spec, pair, keep)
    if predict is not None and base is not None and not fine:
        trial = predict(trial)
    choose = chooser or step_chooser(config, has_base=base is not None)
    found = choose(trial) if SMALLEST < trial.scale.difference < LARGEST else None
    if found is None:
        return _encode_exactly(spec, pair, config, keep)
    step, quantised = found
    if quantised.factors is None and not quantised.integers.any():
        return _rounded_to_base(spec, pair, quantised, keep)
    restored = None if quantised.restored is None else quantised.restored.reshape(spec.shape)
    fields: dict[str, Any] = {"spec": spec, "digest": quantised.digest, "restored": restored, "step": step}
    fields |= {"error": quantised.error, "energy": quantised.energy, "factors": quantised.factors}
    if not quantised.integers.any():
        return CodedTensor(coding=Coding(PREDICTED), **fields)
    integers, offsets, sorting = narrow(quantised.integers), quantised.offsets, quantised.sorting
    del found, quantised  # and with them the wider integers
    coded = _on_steps(integers, offsets, config, fields, sorting)
    return coded if coded.size < max(new.nbytes, 1) else _encode_exactly(spec, pair, config, keep)


def is_coded_as_vector(config: DomConfig, shape: tuple[int, ...]) -> bool:
    """Tell whether a tensor of that shape is coded as a vector."""
    return config.vector_error is not None and is_vector(shape)


def holds_whole_numbers(values: Array) -> bool:
    """Tell whether all values are whole numbers: counts and identifiers, which must survive; such weights cost little.

    Examples
    --------
    >>> holds_whole_numbers(np.array([120.0, 3.0])), holds_whole_numbers(np.array([0.5, 1.0]))
    (True, False)
    """
    first = values[:_PROBED_VALUES]
    return bool((np.trunc(first) == first).all()) and bool((np.trunc(values) == values).all())


def _restored_fields(spec: Spec, restored: Array, keep: bool) -> dict[str, Any]:
    """Return the fields of `CodedTensor` that say what a tensor becomes."""
    return {"spec": spec, "digest": digest_bits(restored), "restored": restored.reshape(spec.shape) if keep else None}


def _unchanged_tensor(spec: Spec, pair: Pair, keep: bool) -> CodedTensor:
    old = np.zeros_like(pair.new) if pair.base is None else pair.base
    return CodedTensor(coding=Coding(SAME), **_restored_fields(spec, old, keep))


def _rounded_to_base(spec: Spec, pair: Pair, quantised: Quantised, keep: bool) -> CodedTensor:
    """The difference is smaller than the step: what is restored is the base."""
    return replace(_unchanged_tensor(spec, pair, keep), coding=Coding(LOST), error=1.0, energy=quantised.energy)


def _on_steps(
    integers: Array, offsets: bytes, config: DomConfig, fields: dict[str, Any], sorting: Sorting | None = None
) -> CodedTensor:
    if sorting is not None:
        pieces = pack_trellis(integers, fields["spec"].shape, sorting, config.effort)
        return CodedTensor(
            coding=Coding(STEPS, layout=sorting.layout, trellis=True), pieces=pieces, offsets=offsets, **fields
        )
    if integers.size < (MIN_OWN_GROUP if config.format == 1 else MIN_SORTABLE_VALUES):
        return CodedTensor(coding=Coding(STEPS, pooled=True), integers=integers, offsets=offsets, **fields)
    layout, pieces = pack_best(integers, fields["spec"].shape, config.effort)
    return CodedTensor(coding=Coding(STEPS, layout=layout), pieces=pieces, offsets=offsets, **fields)


def _encode_exactly(spec: Spec, pair: Pair, config: DomConfig, keep: bool) -> CodedTensor:
    """Code a tensor bit-exact: nothing, integers on a common unit, differences of bits, or raw bytes."""
    new = pair.new
    unchanged = not words(new).any() if pair.base is None else np.array_equal(words(new), words(pair.base))
    if unchanged:
        return _unchanged_tensor(spec, pair, keep)
    best = min(_exact_candidates(spec, pair, config, keep), key=lambda coded: coded.size)
    if best.coding.pooled or best.size < new.nbytes:
        return best
    return CodedTensor(
        coding=Coding(RAW), pieces=[new.tobytes()], **_restored_fields(spec, new.copy() if keep else new, keep)
    )


def _exact_candidates(spec: Spec, pair: Pair, config: DomConfig, keep: bool) -> Iterator[CodedTensor]:
    """Yield the exact codings worth comparing; stop after one that cannot be beaten."""
    new = pair.new
    fields = _restored_fields(spec, new.copy() if keep else new, keep)
    unit = common_unit(pair) if is_float(new.dtype) else None
    if unit is not None:
        exponent, integers = unit
        needed = int(np.abs(integers).max()).bit_length() + 1
        yield _on_steps(narrow(integers), b"", config, {**fields, "step": Step(exponent)})
        if integers.size < MIN_OWN_GROUP or needed <= 8 * new.dtype.itemsize - _SPARE_BITS:
            return
    differences = difference_of_bits(pair)
    if differences.size < MIN_OWN_GROUP:
        yield CodedTensor(coding=Coding(BITS, pooled=True), integers=differences, **fields)
        return
    for layout in layouts_of(differences, pair.base, spec.shape) if config.format > 1 else [0]:
        pieces = pack_bits(differences, pair.base, spec.shape, layout, config.effort)
        yield CodedTensor(coding=Coding(BITS, layout=layout), pieces=pieces, **fields)
