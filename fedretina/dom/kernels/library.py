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
_POINTER = c_void_p
_ARGUMENTS = {
    "begin": [_POINTER, c_int64, c_int64, _POINTER, _POINTER, _POINTER],
    "bidiagonalise": [_POINTER, c_int64, c_int64, *[_POINTER] * 6, c_int64, _POINTER],
    "predict": [_POINTER, _POINTER, c_int64, c_int64, c_int64, c_double, _POINTER, _POINTER],
    "largest_difference": [_POINTER, _POINTER, c_int64],
    "scale_difference": [_POINTER, _POINTER, c_int64, c_double, _POINTER],
    "quantise": [
        *(_POINTER, _POINTER, c_int64, c_float, c_int64, c_float, _POINTER, c_float),  # what is quantised, and how
        *(_POINTER, c_int64, _POINTER, _POINTER, _POINTER),  # what comes out
    ],
    "estimate": [_POINTER, c_double],
    "search_power": [_POINTER, c_double, c_int64, c_int64],
    "search_step": [_POINTER, c_double, c_double, c_double, c_int64],
    "restore": [_POINTER, c_int64, _POINTER, c_int64, _POINTER, c_float, _POINTER],
}


def float32_place(array: NDArray[Any] | None) -> int | None:
    """Return where an array of float32 lies in memory."""
    return None if array is None else _place(array, np.dtype(np.float32))


def float64_place(array: NDArray[Any]) -> int:
    """Return where an array of float64 lies in memory."""
    return _place(array, np.dtype(np.float64))


def integers_place(array: NDArray[Any]) -> int:
    """Return where an array of narrow integers lies in memory."""
    return _place(array, *_INTEGERS)


def _place(array: NDArray[Any], *dtypes: np.dtype[Any]) -> int:
    """Return where an array lies in memory, which C may only read as what it is."""
    if array.dtype not in dtypes or not (array.flags.c_contiguous and array.flags.aligned):
        allowed = " or ".join(map(str, dtypes))
        raise TypeError(
            f"the compiled loops got {array.dtype}; allowed: {allowed}, contiguous and aligned; convert the array"
        )
    return array.ctypes.data


class SampleNumbers(Structure):
    """A sample and what predicts it; ``kernels.c`` has the same structure. See `fedretina.dom.kernels.sample.Sample`."""

    _fields_ = [
        ("differences", _POINTER),
        ("size", c_int64),
        ("norm", c_double),
        ("kind", c_int64),
        ("offset", c_double),
        *[(name, c_int64) for name in ("centre", "ranks", "fixed_rank", "height", "width")],
        *[(name, _POINTER) for name in ("left", "right", "values", "left_peaks", "right_peaks", "octaves")],
        *[(name, _POINTER) for name in ("table_octaves", "table_costs")],
        ("table", c_int64),
        *[(name, c_double) for name in ("scale", "fineness", "finest")],
        *[(name, _POINTER) for name in ("residual", "errors", "spare")],
    ]


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
        library.fedretina_search_power.restype = c_int64
        library.fedretina_estimate.restype = library.fedretina_search_step.restype = c_double
        self.library: Any = library

    def begin(self, matrix: Float32s, direction: Float64s, following: Float64s, space: Space) -> None:
        """Begin a Krylov space with a direction: one value for each of the matrix's rows."""
        places = (float64_place(direction), float64_place(following), byref(space))
        self.library.fedretina_begin(float32_place(matrix), *matrix.shape, *places)

    def bidiagonalise(self, matrix: Float32s, arrays: list[Float64s], space: Space, steps: int) -> None:
        """Let a Krylov space grow to `steps`; `arrays` are left, right, diagonal, above and following."""
        spare = np.empty(max(matrix.shape) + matrix.shape[0] + steps)
        self.library.fedretina_bidiagonalise(
            float32_place(matrix), *matrix.shape, *map(float64_place, arrays), byref(space), steps, float64_place(spare)
        )

    def predict(self, left: Float64s, right: Float64s, unit: float, base: Float32s | None, out: Float32s) -> None:
        """Put ``base + left @ right`` into `out`, rounded once; before, the product to multiples of `unit`, if any."""
        sizes = (left.shape[0], right.shape[1], right.shape[0])
        self.library.fedretina_predict(
            float64_place(left), float64_place(right), *sizes, unit, float32_place(base), float32_place(out)
        )

    def largest_difference(self, new: Float32s, base: Float32s) -> float:
        """Return the largest ``|new - base|``, in float32."""
        return float(self.library.fedretina_largest_difference(float32_place(new), float32_place(base), new.size))

    def scale_difference(self, new: Float32s, base: Float32s, largest: float, out: Float32s) -> None:
        """Put ``(new - base) / largest`` into `out`, rounded to float32."""
        self.library.fedretina_scale_difference(
            float32_place(new), float32_place(base), new.size, largest, float32_place(out)
        )

    def quantise(
        self,
        new: Float32s,
        base: Float32s,
        integers: NDArray[Any],
        *,
        rounding: str,
        offset: float,
        offsets: Float32s | None,
        step: float,
        out: tuple[Float32s, Float32s, Float32s],
    ) -> None:
        """Put the integers of ``(new - base) / step`` into `integers`.

        `out` gets what is restored, the differences, and what they lose.
        """
        how = (1 / step, ROUNDINGS.index(rounding), offset, float32_place(offsets), step)
        places = (float32_place(new), float32_place(base), new.size)
        self.library.fedretina_quantise(*places, *how, integers_place(integers), integers.itemsize, *map(float32_place, out))

    def restore(
        self, integers: NDArray[Any], base: Float32s | None, *, offsets: Float32s | None, step: float, out: Float32s
    ) -> None:
        """Put ``base + (q + offset) * step`` into `out`; `offsets` are those of 1, 2 and more."""
        values = (integers_place(integers), integers.itemsize, float32_place(base), out.size)
        self.library.fedretina_restore(*values, float32_place(offsets), step, float32_place(out))


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
