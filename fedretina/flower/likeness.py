"""What makes a model the next version of another: nearness, and the dtypes that it should have."""

import numpy as np

from fedretina.dom import Model
from fedretina.dom.tensors import Array, is_float


def restored(model: Model, like: Model) -> dict[str, Array]:
    """Give a model's floats the dtypes back that the version before had.

    FedAdam returns float64, and an average of counters (BatchNorm's ``num_batches_tracked``) is a float: rounded, since
    what nodes do otherwise, cutting off, makes 9 of an average of tens that floats put at 9.999.

    Parameters
    ----------
    model : mapping of str to ndarray
        What a strategy made.
    like : mapping of str to ndarray
        The version before. Tensors that it lacks, has in another shape, or has in a wider dtype stay as they are.

    Returns
    -------
    dict of str to ndarray
        The model's names in their order.

    Examples
    --------
    >>> restored({"n": np.array(9.9999)}, {"n": np.array(10)})
    {'n': array(10)}
    """
    return {name: _restored(array, like.get(name)) for name, array in model.items()}


def fitting(residual: Model, model: Model) -> dict[str, Array]:
    """Give what of a residual belongs to tensors that the model still has in that shape."""
    return {name: array for name, array in residual.items() if name in model and array.shape == model[name].shape}


def is_near(model: Model, other: Model) -> bool:
    """Tell whether two models may be versions of one: the same tensors, and less apart than half of the other's norm.

    What training does in a round is far less; models that were trained apart are further from each other than from zero.

    Examples
    --------
    >>> is_near({"w": np.array([1.1, 2.0])}, {"w": np.array([1.0, 2.0])})
    True
    >>> is_near({"w": np.array([-1.0, 2.0])}, {"w": np.array([1.0, 2.0])})
    False
    """
    if {name: array.shape for name, array in model.items()} != {name: array.shape for name, array in other.items()}:
        return False
    floats = [name for name, array in other.items() if is_float(array.dtype)]
    apart = sum(_energy(model[name].astype(np.float64) - other[name]) for name in floats)
    return apart < 0.25 * sum(_energy(other[name].astype(np.float64)) for name in floats)


def _energy(array: Array) -> float:
    return float(np.square(array).sum())


def _restored(array: Array, like: Array | None) -> Array:
    if like is None or like.shape != array.shape or like.dtype == array.dtype or not is_float(array.dtype):
        return array
    if is_float(like.dtype):
        return array.astype(like.dtype) if like.dtype.itemsize <= array.dtype.itemsize else array
    if like.dtype == np.bool_:
        return np.asarray(array >= 0.5)
    limits = np.iinfo(like.dtype)
    return np.asarray(np.rint(array).clip(limits.min, limits.max)).astype(like.dtype)
