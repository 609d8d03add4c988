"""Error feedback: the loss of a payload is added to the next model that is sent."""

import numpy as np

from fedretina.dom.tensors import Array, Model, check_model, is_finite, is_float
from fedretina.errors import BadArgument


def check_residual(residual: Model, new: Model) -> dict[str, Array]:
    """Return the residual's tensors that `new` has; raise `BadArgument` if one has another shape."""
    known = {name: array for name, array in check_model(residual).items() if name in new and is_float(new[name].dtype)}
    for name, array in known.items():
        if array.shape != new[name].shape:
            raise BadArgument(
                f"residual {name!r} has shape {array.shape}, the tensor {new[name].shape}; start without a residual"
            )
    return known


def add_residual(new: Model, residual: Model) -> dict[str, Array]:
    """Return the model with the residual of the payload before added."""
    return {
        name: (array.astype(_wide_type(array)) + residual[name]).astype(array.dtype) if name in residual else array
        for name, array in new.items()
    }


def residual_of(new: Model, previous: Model, restored: Model) -> dict[str, Array]:
    """Return the loss so far: the new model plus the previous residual, less the model that the receiver holds."""
    residual = {}
    for name, array in new.items():
        if is_float(array.dtype):
            difference = _loss_of(array, restored[name])
            residual[name] = (difference + previous.get(name, 0.0)).astype(_wide_type(array))
    return residual


def _loss_of(array: Array, restored: Array) -> Array:
    """Return an array less its restored values; 0 where it is not finite, since only lossless payloads hold that."""
    with np.errstate(invalid="ignore"):
        difference = array.astype(np.float64) - restored
    return difference if is_finite(array) else np.where(np.isfinite(difference), difference, 0.0)


def _wide_type(array: Array) -> type[np.floating]:
    return np.float64 if array.dtype.itemsize > 4 else np.float32
