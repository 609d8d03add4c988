"""What makes a model the next version of another: nearness, and the dtypes that it should have."""

import numpy as np

from fedretina.dom import Array, Model, is_float, is_vector

LEAST_LOSSY = 256  # weights; smaller models are exact


def restore_dtypes(model: Model, like: Model) -> dict[str, Array]:
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
    >>> restore_dtypes({"n": np.array(9.9999)}, {"n": np.array(10)})
    {'n': array(10)}
    """
    return {name: _restored(array, like.get(name)) for name, array in model.items()}


def matching_tensors(residual: Model, model: Model) -> dict[str, Array]:
    """Give what of a residual belongs to tensors that the model still has in that shape."""
    return {name: array for name, array in residual.items() if name in model and array.shape == model[name].shape}


def has_same_tensors(model: Model, other: Model) -> bool:
    """Tell whether two models have tensors of the same names, shapes and dtypes."""
    return _specs(model) == _specs(other)


def is_near(model: Model, other: Model, *, limit: float = 0.5) -> bool:
    """Tell whether a model may be the next version of another: the same tensors, and not far from it.

    What training does in a round is far less than the weights themselves. Gradients, control variates and an optimiser's
    state have the tensors of a model, but are as far from it as it is from zero, or further.

    Parameters
    ----------
    model, other : mapping of str to ndarray
        Vectors (see `is_vector`) do not count where there are other floats: running statistics may move far.
    limit : float, default 0.5
        The squared distance that is allowed, over the squared norm of `other`.

    Examples
    --------
    >>> is_near({"w": np.array([1.1, 2.0])}, {"w": np.array([1.0, 2.0])})
    True
    >>> is_near({"w": np.array([-1.0, 2.0])}, {"w": np.array([1.0, 2.0])})
    False
    """
    if {name: array.shape for name, array in model.items()} != {name: array.shape for name, array in other.items()}:
        return False
    floats = _floats(other)
    apart = sum(_energy(model[name].astype(np.float64) - other[name]) for name in floats)
    return apart < limit * sum(_energy(other[name].astype(np.float64)) for name in floats)


def is_tiny(model: Model) -> bool:
    """Tell whether a model has so few weights, vectors aside, that exactness costs nothing.

    Examples
    --------
    >>> is_tiny({"coefficients": np.ones((3, 4)), "intercept": np.ones(3)})
    True
    """
    return count_weights(model) < LEAST_LOSSY


def count_weights(model: Model) -> int:
    """Return the number of floats in tensors that are no vectors."""
    return sum(a.size for a in model.values() if is_float(a.dtype) and not is_vector(a.shape))


def replaced_tensors(model: Model, other: Model) -> frozenset[str]:
    """Return the tensors that are as far from what they were as that was from zero: nothing shows that they continue it.

    A list of weights with control variates behind them is such a model.

    Examples
    --------
    >>> replaced_tensors({"a": np.ones((2, 2)), "b": np.ones((2, 2))}, {"a": np.full((2, 2), 1.1), "b": np.zeros((2, 2))})
    frozenset({'b'})
    """
    return frozenset(name for name in _floats(other) if not is_near({name: model[name]}, {name: other[name]}, limit=1.0))


def _floats(model: Model) -> list[str]:
    """Return the names of the float tensors that are no vectors; where there are none, of all float tensors."""
    floats = [name for name, array in model.items() if is_float(array.dtype)]
    return [name for name in floats if not is_vector(model[name].shape)] or floats


def _specs(model: Model) -> dict[str, tuple[object, ...]]:
    return {name: (array.shape, array.dtype) for name, array in model.items()}


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
