"""Models: named arrays of a few dtypes, which are checked once, when they come in."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar, overload

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from fedretina.dom.parallel import map_all
from fedretina.errors import BadArgument

Array = NDArray[Any]
Model = Mapping[str, Array]
Form = tuple[tuple[int, ...], np.dtype[Any]]  # shape and dtype
Result = TypeVar("Result")

# The position in this table is the dtype's code on the wire: append only.
DTYPES: tuple[np.dtype[Any], ...] = tuple(
    np.dtype(kind)
    for kind in (
        *(np.bool_, np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64),
        *(np.float16, ml_dtypes.bfloat16, np.float32, np.float64),
    )
)
_CODES = {dtype.name: code for code, dtype in enumerate(DTYPES)}
_CODES_BY_NUMBER = {dtype.num: code for code, dtype in enumerate(DTYPES)}  # by number: names are slow
_NAMES = [dtype.name for dtype in DTYPES]
_FLOATS = frozenset(dtype.num for dtype in DTYPES if dtype.kind not in "biu")

MAX_TENSORS = 2**16
MAX_NAME_BYTES = 1024
SMALLEST, LARGEST = 2.0**-400, 2.0**400  # differences outside travel bit-exact: their squares leave float64
MAX_DIMENSIONS = 32
MAX_RAW_BYTES = 2**33


def dtype_code(dtype: np.dtype[Any]) -> int:
    """Return the wire's code of a dtype; raise `KeyError` if it has none."""
    code = _CODES_BY_NUMBER.get(dtype.num)
    return _CODES[dtype.name] if code is None else code  # C's long and long long may be of one name and two numbers


def dtype_name(dtype: np.dtype[Any]) -> str:
    """Return a dtype's name, if it has a code on the wire."""
    return _NAMES[dtype_code(dtype)]


def is_float(dtype: np.dtype[Any]) -> bool:
    """Return whether tensors of this dtype are quantised (others travel losslessly)."""
    return dtype.num in _FLOATS


def float_info(dtype: np.dtype[Any]) -> Any:
    """Return a float dtype's limits: `numpy.finfo` that knows bfloat16."""
    limits: Any = ml_dtypes.finfo
    return limits(dtype)


def ulp_exponent(value: float, dtype: np.dtype[np.generic]) -> int:
    """Return the exponent of the unit in the last place of `value` in `dtype`."""
    info = float_info(dtype)
    return int(max(math.frexp(value)[1] - 1, info.minexp) - info.nmant)


@cache
def largest_of(dtype: np.dtype[Any]) -> float:
    """Return the largest finite value of a float dtype."""
    return float(float_info(dtype).max)


def raw_bytes(model: Model) -> int:
    """Return what the model's tensors take uncompressed, in bytes."""
    return sum(array.nbytes for array in model.values())


def words(array: Array) -> Array:
    """Return the bits of a contiguous array as a flat array of unsigned integers of the same width."""
    return array.reshape(-1).view(f"u{array.dtype.itemsize}")


@overload
def flat(array: None) -> None: ...
@overload
def flat(array: Array) -> Array: ...
def flat(array: Array | None) -> Array | None:
    """Return an array's values in one dimension, contiguous and aligned: a view where they are so already; None of None."""
    return None if array is None else np.require(array.reshape(-1), requirements=["C", "A"])


def declared_bytes(shape: Sequence[int], dtype: np.dtype[Any]) -> int:
    """Return an upper bound of what a shape asks for; a 0 counts as 1, as numpy does when it checks sizes."""
    return math.prod(max(size, 1) for size in shape) * dtype.itemsize


def check_model(model: Model, *, finite: bool = True, threads: int = 1) -> dict[str, Array]:
    """Return the model with names sorted and arrays contiguous, aligned and little-endian; share memory where possible.

    Parameters
    ----------
    model : mapping of str to ndarray
        The model.
    finite : bool, default True
        Whether NaN and infinity are refused: only lossless payloads hold them.
    threads : int, default 1
        How many to use.

    Raises
    ------
    BadArgument
        If a name, dtype, shape or value cannot travel; the message has the tensor's name.
    """
    found = check_each(model, lambda array: None, finite=finite, threads=threads)
    return {name: array for name, (array, _) in found.items()}


def check_each(
    model: Model, look: Callable[[Array], Result], *, finite: bool = True, threads: int = 1
) -> dict[str, tuple[Array, Result]]:
    """Check a model as `check_model` does; return each array with what `look` makes of it, while it is in the cache."""
    if not isinstance(model, Mapping):
        raise BadArgument(f"a model is a mapping of names to arrays, got {type(model).__name__}")
    if len(model) > MAX_TENSORS:
        raise BadArgument(f"the model has {len(model)} tensors; allowed: at most {MAX_TENSORS}")
    for name in model:
        _check_name(name)
    names = sorted(model)

    def check(name: str) -> tuple[Array, Result]:
        array = _check_tensor(name, model[name])
        if finite:
            check_finite(f"tensor {name!r}", array)
        return array, look(array)

    found = map_all(check, names, threads=threads, weigh=lambda name: _size(model[name]))
    checked = dict(zip(names, found, strict=True))
    size = sum(array.nbytes for array, _ in checked.values())
    if size > MAX_RAW_BYTES:
        raise BadArgument(f"the model has {size} bytes; allowed: at most {MAX_RAW_BYTES}; split it")
    return checked


def energy(values: Array) -> float:
    """Return the sum of squares of a vector, without BLAS.

    BLAS would start threads within ours. The order of its sums depends on their number, so the bits would. And after a fork,
    when its threads are gone, a call to BLAS waits for them for ever.

    Examples
    --------
    >>> energy(np.array([3.0, 4.0]))
    25.0
    """
    return float(np.einsum("i,i->", values, values))


def energy_in_lanes(values: NDArray[np.float64]) -> float:
    """Return the sum of squares of a vector, added in four lanes: an order that compiled code can follow.

    Examples
    --------
    >>> energy_in_lanes(np.arange(7.0))
    91.0
    """
    squares = np.square(values)
    whole = squares.size // 4 * 4
    lanes = squares[:whole].reshape(-1, 4).sum(axis=0)
    lanes[: squares.size - whole] += squares[whole:]
    return float((lanes[0] + lanes[1]) + (lanes[2] + lanes[3]))


def root_mean_square(values: Array) -> float:
    """Return the root of the mean square of some float64 values; their squares may leave float64.

    Examples
    --------
    >>> root_mean_square(np.array([3e200, -3e200]))
    3e+200
    """
    largest = float(np.abs(values).max(initial=0.0))
    if not largest or not math.isfinite(largest):
        return largest
    return largest * math.sqrt(energy(values / largest) / values.size)


def largest_size(values: Array) -> float:
    """Return the largest absolute value; 0 if there is none.

    Examples
    --------
    >>> largest_size(np.array([3.0, -4.0]))
    4.0
    """
    return max(abs(float(values.max())), abs(float(values.min()))) if values.size else 0.0


def is_finite(array: Array) -> bool:
    """Return whether a tensor holds neither NaN nor infinity."""
    if not is_float(array.dtype):
        return True
    with np.errstate(invalid="ignore", over="ignore"):  # bfloat16's signalling NaN would warn
        if array.dtype.kind == "f" and array.itemsize >= 4 and math.isfinite(energy(array.reshape(-1))):
            return True  # finite squares have finite roots, and need no array of flags
        # A finite sum has finite terms, and needs no array of flags. An infinite sum may come from large finite terms.
        return bool(np.isfinite(array.sum())) or bool(np.isfinite(array).all())


def check_finite(what: str, array: Array) -> None:
    """Raise `BadArgument` if a tensor holds NaN or infinity; `what` names it."""
    if not is_finite(array):
        raise BadArgument(
            f"{what} holds NaN or infinity; allowed: finite values, or any with DomConfig.lossless; correct the model"
        )


def has_same_form(left: Array, right: Array) -> bool:
    """Return whether two tensors have the same dtype and shape: only such a pair has a difference."""
    return left.dtype == right.dtype and left.shape == right.shape


def can_convert(new: Form, old: Form) -> bool:
    """Tell whether a tensor differs from its base in nothing but a floating-point dtype."""
    return new[0] == old[0] and new[1] != old[1] and is_float(new[1]) and is_float(old[1])


def convert(array: Array, dtype: np.dtype[Any]) -> Array:
    """Return values in another dtype, rounded to nearest even; what is beyond its largest value becomes infinity."""
    with np.errstate(over="ignore"):
        return array.astype(dtype)


def freeze(model: Model) -> Model:
    """Make the arrays read-only, in place, and return the model."""
    for array in model.values():
        array.setflags(write=False)
    return model


def _check_name(name: object) -> None:
    if not isinstance(name, str):
        raise BadArgument(f"tensor name {name!r} is no string")
    try:
        length = len(name.encode())
    except UnicodeEncodeError as error:
        raise BadArgument(f"tensor name {name!r} is no valid Unicode: {error.reason}") from error
    if length > MAX_NAME_BYTES:
        raise BadArgument(f"tensor name {name[:40]!r}... has {length} bytes; allowed: at most {MAX_NAME_BYTES}")


def _check_tensor(name: str, value: object) -> Array:
    if not isinstance(value, np.ndarray | np.generic):
        raise BadArgument(f"tensor {name!r} is a {type(value).__name__}; give a numpy array")
    array = np.asarray(value)
    try:
        dtype = DTYPES[dtype_code(array.dtype)]
    except KeyError:
        raise BadArgument(f"tensor {name!r} has dtype {array.dtype}; allowed: {', '.join(_CODES)}; convert it") from None
    if array.ndim > MAX_DIMENSIONS or declared_bytes(array.shape, dtype) > MAX_RAW_BYTES:
        raise BadArgument(
            f"tensor {name!r} has shape {array.shape}; allowed: {MAX_DIMENSIONS} dimensions, {MAX_RAW_BYTES} bytes"
        )
    return np.require(array, dtype=dtype, requirements=["C", "A"]).reshape(array.shape)


def _size(value: object) -> int:
    return value.nbytes if isinstance(value, np.ndarray) else 0
