"""The compiled inner loops, where the package has them: wheels do, and installs from source on a machine with a C compiler.

They are optional. What calls them has the same loop in NumPy beside it, which gives the same bits; ``kernels.c`` says why.
While they run, other threads do.
"""

import os
from ctypes import CDLL, Structure, byref, c_double, c_float, c_int64, c_void_p
from functools import cache
from importlib.util import find_spec
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

SWITCH = "FEDRETINA_KERNELS"  # 0 in the environment: NumPy only
ROUNDINGS = ("deadzone", "nearest", "paper")  # a rounding's place is its number in kernels.c

Float32s: TypeAlias = NDArray[np.float32]
Float64s: TypeAlias = NDArray[np.float64]

_RELEASE = 1  # of the functions and what they compute: the same as in kernels.c
_INTEGERS = (np.dtype(np.int8), np.dtype(np.int16))
_PLACE = c_void_p
_ARGUMENTS = {
    "bidiagonalise": [_PLACE, c_int64, c_int64, *[_PLACE] * 6, c_int64, _PLACE],
    "predict": [_PLACE, _PLACE, c_int64, c_int64, c_int64, c_double, _PLACE, _PLACE],
    "predict_places": [_PLACE, _PLACE, c_int64, c_int64, _PLACE, _PLACE, _PLACE],
    "largest_difference": [_PLACE, _PLACE, c_int64],
    "scale_difference": [_PLACE, _PLACE, c_int64, c_double, _PLACE],
    "choose": [_PLACE, c_int64, c_float, c_int64, c_float, _PLACE, c_int64],
    "sample_errors": [_PLACE, c_int64, c_double, c_int64, c_double, c_int64, _PLACE, _PLACE],
    "restore": [_PLACE, c_int64, _PLACE, c_int64, _PLACE, c_float, _PLACE],
}


class Space(Structure):
    """The numbers that a Krylov space has beside its arrays; ``kernels.c`` has the same structure."""

    _fields_ = [("beta", c_double), ("largest", c_double), ("size", c_int64), ("is_whole", c_int64)]


class Kernels:
    """The loops as functions of arrays, which must be contiguous, aligned and of the given dtypes."""

    def __init__(self, library: CDLL) -> None:
        for name, arguments in _ARGUMENTS.items():
            function = getattr(library, f"fedretina_{name}")
            function.argtypes, function.restype = arguments, None
        library.fedretina_largest_difference.restype = c_float
        self._library: Any = library

    def bidiagonalise(self, matrix: Float32s, arrays: list[Float64s], space: Space, steps: int) -> None:
        """Let a Krylov space grow to `steps`; `arrays` are left, right, diagonal, above and following."""
        spare = np.empty(max(matrix.shape) + matrix.shape[0] + steps)
        self._library.fedretina_bidiagonalise(
            _float32(matrix), *matrix.shape, *map(_float64, arrays), byref(space), steps, _float64(spare)
        )

    def predict(self, left: Float64s, right: Float64s, unit: float, base: Float32s | None, out: Float32s) -> None:
        """Put ``base + left @ right`` into `out`, rounded once; before, the product to multiples of `unit`, if any."""
        sizes = (left.shape[0], right.shape[1], right.shape[0])
        self._library.fedretina_predict(_float64(left), _float64(right), *sizes, unit, _float32(base), _float32(out))

    def predict_places(self, left: Float32s, right: Float32s, units: Float64s, scales: Float64s) -> Float64s:
        """Return the sums over ranks of ``rint(left * unit) * scale * rint(right * unit)``; ranks are rows."""
        found = np.empty(left.shape[1])
        sizes = (left.shape[1], units.size)
        places = (_float32(left), _float32(right), *sizes, _float64(units), _float64(scales), _float64(found))
        self._library.fedretina_predict_places(*places)
        return found

    def largest_difference(self, new: Float32s, base: Float32s) -> float:
        """Return the largest ``|new - base|``, in float32."""
        return float(self._library.fedretina_largest_difference(_float32(new), _float32(base), new.size))

    def scale_difference(self, new: Float32s, base: Float32s, largest: float, out: Float32s) -> None:
        """Put ``(new - base) / largest`` into `out`, rounded to float32."""
        self._library.fedretina_scale_difference(_float32(new), _float32(base), new.size, largest, _float32(out))

    def choose(self, differences: Float32s, inverse: float, rounding: str, offset: float, out: NDArray[Any]) -> None:
        """Put the integers of ``differences * inverse`` into `out`, see `ROUNDINGS`."""
        how = (inverse, ROUNDINGS.index(rounding), offset)
        self._library.fedretina_choose(_float32(differences), out.size, *how, _integers(out), out.itemsize)

    def sample_errors(
        self, residual: Float64s, step: float, *, rounding: str, offset: float, centre: bool
    ) -> tuple[Float64s, bytes]:
        """Return ``residual - (q + offset) * step`` with the offsets that suit the integers q; 0 without `centre`."""
        errors, offsets = np.empty_like(residual), np.zeros(3)
        how = (step, ROUNDINGS.index(rounding), offset, centre)
        self._library.fedretina_sample_errors(_float64(residual), residual.size, *how, _float64(errors), _float64(offsets))
        return errors, offsets.astype(np.int8).tobytes() if centre else b""

    def restore(
        self, integers: NDArray[Any], base: Float32s | None, *, offsets: Float32s | None, step: float, out: Float32s
    ) -> None:
        """Put ``base + (q + offset) * step`` into `out`; `offsets` are those of 1, 2 and more."""
        values = (_integers(integers), integers.itemsize, _float32(base), out.size)
        self._library.fedretina_restore(*values, _float32(offsets), step, _float32(out))


@cache
def kernels() -> Kernels | None:
    """Return the compiled loops; None where there are none, or the environment has ``FEDRETINA_KERNELS=0``.

    Examples
    --------
    >>> found = kernels()
    >>> found is None or found.largest_difference(np.float32([3, 1]), np.float32([1, 5])) == 4.0
    True
    """
    spec = None if os.environ.get(SWITCH) == "0" else find_spec("fedretina.dom.kernels._compiled")
    if spec is None or spec.origin is None:
        return None
    try:
        library = CDLL(spec.origin)
        return Kernels(library) if library.fedretina_release() == _RELEASE else None
    except (OSError, AttributeError):  # made for another machine, or before there were releases
        return None


def _float32(array: NDArray[Any] | None) -> int | None:
    return None if array is None else _place(array, np.dtype(np.float32))


def _float64(array: NDArray[Any]) -> int:
    return _place(array, np.dtype(np.float64))


def _integers(array: NDArray[Any]) -> int:
    return _place(array, *_INTEGERS)


def _place(array: NDArray[Any], *dtypes: np.dtype[Any]) -> int:
    """Return where an array lies in memory, which C may only read as what it is."""
    if array.dtype not in dtypes or not (array.flags.c_contiguous and array.flags.aligned):
        raise TypeError(
            f"the compiled loops got {array.dtype} with {array.flags}; allowed: {dtypes}, contiguous and aligned"
        )
    return array.ctypes.data
