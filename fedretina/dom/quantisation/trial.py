"""One tensor under trial: quantised with any step, or its error with that step estimated on a sample."""

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from fedretina.dom.coding.integers import integer_type, narrow
from fedretina.dom.coding.layout import codes_of, is_sortable, spreads
from fedretina.dom.coding.order import order_of
from fedretina.dom.coding.packing import sorting_of
from fedretina.dom.coding.sampling import sample_indices
from fedretina.dom.coding.trellis import MIN_TRELLIS_VALUES
from fedretina.dom.config import DomConfig
from fedretina.dom.kernels import ROUNDINGS, Sample, kernels
from fedretina.dom.prediction.factors import Factors, predict
from fedretina.dom.prediction.lanczos import Svd
from fedretina.dom.quantisation.predicted import Predictor
from fedretina.dom.quantisation.quantise import Pair, Quantised, centroids, measure, quantise
from fedretina.dom.quantisation.rdoq import FINE, fine_integers, quantise_group
from fedretina.dom.quantisation.restore import dequantise, offset_table
from fedretina.dom.quantisation.rounding import LEVELS, Rounder
from fedretina.dom.quantisation.viterbi import search_paths
from fedretina.dom.tensors import energy, energy_in_lanes, largest_size, ulp_exponent

RATE = 0.15  # lambda: squared steps that a bit is worth
TRELLIS_RATE = 0.25  # the same for dependent quantisation, whose steps are smaller
TRELLIS_STEP = 0.7  # its step for about the error that RDOQ makes with a step of 1
FINER_UNITS = 4  # octaves that predictions on the lattice are finer than the residual's step
MIN_OWN_GROUP = (
    2048  # elements; in version 1 smaller tensors are pooled, and have neither offsets nor statistics of their own
)
_MIN_CENTRED = 1024  # elements; in version 2 smaller ones have no offsets
_SAMPLE, _PREDICTED_SAMPLE = 2**14, 2**12  # predicting a place takes as long as quantising four
LEAST_SEARCHED = 256  # values; the errors of fewer move in jumps
_PLAIN_FLOATS = (2.0**-40, 2.0**40)  # within, float32 is enough to choose integers: squares stay in its range


@dataclass(frozen=True)
class Scale:
    """The sizes in a tensor that a step depends on.

    `difference` is 0 if nothing has to be sent; `value`, the largest in new and base, counts on the lattice only.
    """

    difference: float
    value: float = 0.0

    @classmethod
    def of(cls, pair: Pair, *, lattice: bool) -> "Scale":
        """Measure a tensor."""
        work = np.float64 if pair.new.dtype.itemsize > 4 else np.float32
        value = max(largest_size(part) for part in (pair.new, pair.base) if part is not None) if lattice else 0.0
        found = pair.largest(work)
        return cls(found if math.isfinite(found) else pair.largest(), value)


@dataclass(frozen=True)
class Trial:
    """A tensor, and how it is to be quantised apart from the step.

    `centre`: whether to send centroid offsets. `rate`: lambda of RDOQ, 0 for none. `doubled`: how many values, from the
    first on, get steps of twice the size. `trellis`: whether to quantise dependently. `keep`: whether anybody wants what
    is restored. `predictor`: what may predict the differences. `bracketed`: whether targets are met by bisection where
    guesses fail, and samples' errors are summed as compiled code does (format version 1 keeps its bytes). `energy`: the
    squares that errors count by, if they are not the differences' own.
    """

    pair: Pair
    shape: tuple[int, ...]
    scale: Scale
    rounder: Rounder
    centre: bool
    rate: float
    on_lattice: bool
    doubled: int = 0
    trellis: bool = False
    keep: bool = True
    predictor: Predictor | None = None
    bracketed: bool = False
    energy: float | None = None

    @classmethod
    def of(cls, pair: Pair, shape: tuple[int, ...], config: DomConfig, *, keep: bool = True) -> "Trial":
        """Look at a tensor."""
        large = pair.new.size >= (MIN_OWN_GROUP if config.format == 1 else _MIN_CENTRED)
        rdoq = config.quantiser == "rdoq" and large
        centre = config.quantiser in ("deadzone", "rdoq") and config.effort != "fast" and not config.lattice and large
        rate = RATE if rdoq else 0.0
        trellis = config.dependent and pair.new.size >= MIN_TRELLIS_VALUES
        return cls(
            pair,
            shape,
            Scale.of(pair, lattice=config.lattice),
            Rounder.of(config),
            centre,
            rate,
            config.lattice,
            trellis=trellis,
            keep=keep,
            bracketed=config.format > 1 and pair.new.size >= LEAST_SEARCHED,
        )

    @cached_property
    def sample(self) -> Any:
        """At most `_SAMPLE` of the tensor's differences."""
        return np.concatenate([d for _, d in self.pair.at(self._places).blocks()])

    @cached_property
    def _places(self) -> Any:
        return sample_indices(self.pair.new.size, _SAMPLE if self.predictor is None else _PREDICTED_SAMPLE)

    @cached_property
    def _vectors_of_sample(self) -> Svd:
        """The predictor's singular vectors at the sample's places."""
        assert self.predictor is not None
        places = np.arange(self.pair.new.size) if isinstance(self._places, slice) else self._places
        return self.predictor.svd.at(*np.divmod(places, self.predictor.shape[1]))

    @property
    def work(self) -> Any:
        """The precision in which integers are chosen."""
        low, high = _PLAIN_FLOATS
        return np.float32 if self.pair.new.dtype.itemsize <= 4 and low < self.scale.difference < high else np.float64

    def estimate(self, size: float) -> float:
        """Return ``||d - d^|| / ||d||`` over the sample, quantised with the given step.

        For a trellis it is derived from RDOQ's with the step that belongs to it: within some 10 % (the fit is to
        differences of convolutions), which is enough to begin with.
        """
        if self.trellis:
            error = self._error_of_sample(size / TRELLIS_STEP)
            return error * (1 + 0.25 / (1 + 20 * error))
        return self._error_of_sample(size)

    @cached_property
    def _norm(self) -> float:
        return math.sqrt(energy(self.sample))

    @cached_property
    def compiled_sample(self) -> Sample | None:
        """The sample for compiled code, which knows neither RDOQ nor trellises; None where there is none."""
        compiled, rounder = kernels() if self.bracketed else None, self.rounder
        if compiled is None or self.rate or self.trellis or rounder.kind not in ROUNDINGS or not self._norm:
            return None
        prediction = None if self.predictor is None else self.predictor.at(self._vectors_of_sample)
        return Sample(
            compiled,
            self.sample,
            self._norm,
            rounding=rounder.kind,
            offset=rounder.offset,
            centre=self.centre,
            prediction=prediction,
        )

    def _error_of_sample(self, size: float) -> float:
        if not self._norm:
            return 0.0
        if self.compiled_sample is not None:
            return self.compiled_sample.estimate(size)
        residual = self._residual_sample(size)
        integers, offsets = self._quantise_sample(size, residual)
        errors = residual - dequantise(integers, step=size, offsets=offsets)
        return math.sqrt(energy_in_lanes(errors) if self.bracketed else energy(errors)) / self._norm

    def quantise(self, size: float) -> Quantised:
        """Quantise the whole tensor."""
        factors = self.predictor and self.predictor.factors(size)
        if self.predictor and factors:
            if self.on_lattice:
                factors = replace(factors, unit=self._unit(size))
            return replace(self._after(factors, self.predictor.energy).quantise(size), factors=factors)
        if self.trellis:
            return self._quantise_along_trellis(size)
        if self.rate:
            return self._quantise_by_group(size)
        offsets = self._quantise_sample(size, self.sample)[1] if self.centre else b""
        return quantise(
            self.pair,
            step=size,
            largest=self.scale.difference,
            rounder=self.rounder,
            offsets=offsets,
            work=self.work,
            doubled=self.doubled,
            keep=self.keep,
            energy=self.energy,
        )

    def _unit(self, size: float) -> int:
        """Return the exponent of the lattice's unit under predictions: finer than the step, or rounding would undo them."""
        exponent = math.frexp(size)[1] - 1 - FINER_UNITS
        return max(exponent, ulp_exponent(self.scale.value, self.pair.new.dtype))

    def _after(self, factors: Factors, energy: float) -> "Trial":
        """Return the trial of the residual that factors leave, whose error counts by the energy of all."""
        pair = Pair(self.pair.new, predict(factors, self.pair.base, dtype=self.pair.new.dtype))
        scale = replace(Scale.of(pair, lattice=False), value=self.scale.value)
        return replace(self, pair=pair, scale=scale, predictor=None, energy=energy)

    def _residual_sample(self, size: float) -> Any:
        return self.predictor.residual(self.sample, self._vectors_of_sample, size) if self.predictor else self.sample

    def _quantise_sample(self, size: float, sample: Any) -> tuple[Any, bytes]:
        """Return a sample's integers, and the offsets that suit them."""
        x = sample / size
        if not self.rate:
            integers = self.rounder(x)
            return integers, centroids(np.abs(x), integers) if self.centre else b""
        fine = np.rint(x * FINE).astype(np.int64)
        integers = self._quantise_group(fine, b"", np.empty_like(fine))
        if not self.centre:
            return integers, b""
        integers = self._quantise_group(fine, centroids(np.abs(x), integers), integers)
        return integers, centroids(np.abs(x), integers)

    def _quantise_group(self, fine: Any, offsets: bytes, out: Any) -> Any:
        return quantise_group(fine, rate=self.rate, restored=_offset_values(offsets), out=out)

    def _quantise_by_group(self, size: float) -> Quantised:
        """Quantise group by group, in the order of the tensor's classes."""
        offsets = self._quantise_sample(size, self.sample)[1] if self.centre else b""
        fine = fine_integers(self.pair, step=size, largest=self.scale.difference, work=self.work)
        fine[: self.doubled] >>= 1
        order = None
        if is_sortable(self.shape, fine.size):
            order = order_of(codes_of(spreads(fine, self.shape)), self.shape, 3)
            fine = order.sort(fine)
        integers = np.empty(fine.size, integer_type(self.scale.difference / size + 2))
        start = 0
        for count in order.groups if order is not None else (fine.size,):
            at = slice(start, start + count)
            self._quantise_group(fine[at], offsets, integers[at])
            start += count
        del fine
        if order is not None:
            integers = order.unsort(integers)
        integers[: self.doubled] *= 2
        return measure(self.pair, integers, step=size, offsets=offsets, work=self.work, keep=self.keep, energy=self.energy)

    def _quantise_along_trellis(self, size: float) -> Quantised:
        """Quantise dependently, in the order that suits what RDOQ would make of the values."""
        fine = fine_integers(self.pair, step=size, largest=self.scale.difference, work=self.work)
        sorting = sorting_of(fine, self.shape, unit=FINE / TRELLIS_STEP)
        order = sorting.order(self.shape)
        fine = fine if order is None else order.sort(fine)
        groups = (fine.size,) if order is None else order.groups
        offsets = search_paths(fine, groups, rate=TRELLIS_RATE)
        integers = narrow(fine)
        del fine
        if order is not None:
            integers = order.unsort(integers)
        found = measure(self.pair, integers, step=size, offsets=offsets, work=self.work, keep=self.keep, energy=self.energy)
        return replace(found, sorting=sorting)


def _offset_values(offsets: bytes) -> Any:
    return offset_table(offsets)[LEVELS - 1 :] if offsets else np.zeros(LEVELS)
