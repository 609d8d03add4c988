"""Whether a model is the next version of another: by its tensors and their values; and the dtypes that it should have."""

import numpy as np

from fedretina.dom import Array, Model, is_float, is_vector

MIN_LOSSY_COUNT = 256
"""A model of fewer weights is exact: that costs little."""
_MASKED = 1000  # no network has weights of that size; masks have -1e4, -1e9 or the dtype's smallest number


def restore_dtypes(model: Model, previous: Model) -> dict[str, Array]:
    """Return a model with the dtypes of the version before.

    FedAdam returns float64. An average of counters (BatchNorm's ``num_batches_tracked``) is a float. It is rounded, since
    the average of tens may be 9.999 in floats.

    Parameters
    ----------
    model : mapping of str to ndarray
        The model that a strategy made.
    previous : mapping of str to ndarray
        The version before. Tensors that it lacks, has in another shape, or has in a wider dtype do not change.

    Returns
    -------
    dict of str to ndarray
        The model's names in their order.

    Examples
    --------
    >>> restore_dtypes({"n": np.array(9.9999)}, {"n": np.array(10)})
    {'n': array(10)}
    """
    return {name: _restore_dtype(array, previous.get(name)) for name, array in model.items()}


def matching_tensors(residual: Model, model: Model) -> dict[str, Array]:
    """Return the tensors of a residual that the model still has, in the same shape."""
    return {name: array for name, array in residual.items() if name in model and array.shape == model[name].shape}


def has_same_tensors(model: Model, other: Model) -> bool:
    """Return whether two models have tensors of the same names, shapes and dtypes."""
    return _specs(model) == _specs(other)


def is_similar(model: Model, other: Model, *, limit: float = 0.5) -> bool:
    """Return whether a model may be the next version of another: it has the same tensors, and its values are near.

    A round of training changes weights by far less than their own size. Gradients, control variates and an optimiser's state
    have the tensors of a model too, but they are at least as far from it as it is from zero.

    Parameters
    ----------
    model, other : mapping of str to ndarray
        Vectors (see `fedretina.dom.is_vector`) count only if there are no other floats: running statistics may move far.
        Masks do not count (equal in both, values of 1,000 or more): an attention mask of -1e4 would outweigh all weights.
    limit : float, default 0.5
        The largest squared distance that is allowed, over the squared norm of `other`.

    Examples
    --------
    >>> is_similar({"w": np.array([1.1, 2.0])}, {"w": np.array([1.0, 2.0])})
    True
    >>> is_similar({"w": np.array([-1.0, 2.0])}, {"w": np.array([1.0, 2.0])})
    False
    """
    if {name: array.shape for name, array in model.items()} != {name: array.shape for name, array in other.items()}:
        return False
    floats = [name for name in _floats(other) if not _is_mask(model[name], other[name])]
    distance = sum(_energy(model[name].astype(np.float64) - other[name]) for name in floats)
    return distance < limit * sum(_energy(other[name].astype(np.float64)) for name in floats)


def is_small(model: Model) -> bool:
    """Return whether a model has so few weights, vectors aside, that exactness costs little.

    Examples
    --------
    >>> is_small({"coefficients": np.ones((3, 4)), "intercept": np.ones(3)})
    True
    """
    return count_weights(model) < MIN_LOSSY_COUNT


def count_weights(model: Model) -> int:
    """Return the number of floats in tensors that are not vectors."""
    return sum(a.size for a in model.values() if is_float(a.dtype) and not is_vector(a.shape))


def dissimilar_tensors(model: Model, other: Model) -> frozenset[str]:
    """Return the names of tensors that are at least as far from the other model's as those are from zero.

    Nothing shows that they are next versions. A model of weights and control variates has such tensors.

    Examples
    --------
    >>> dissimilar_tensors({"a": np.ones((2, 2)), "b": np.ones((2, 2))}, {"a": np.full((2, 2), 1.1), "b": np.zeros((2, 2))})
    frozenset({'b'})
    """
    return frozenset(name for name in _floats(other) if not is_similar({name: model[name]}, {name: other[name]}, limit=1.0))


def _floats(model: Model) -> list[str]:
    """Return the names of the float tensors that are not vectors; if there are none, of all float tensors."""
    floats = [name for name, array in model.items() if is_float(array.dtype)]
    return [name for name in floats if not is_vector(model[name].shape)] or floats


def _specs(model: Model) -> dict[str, tuple[object, ...]]:
    return {name: (array.shape, array.dtype) for name, array in model.items()}


def _energy(array: Array) -> float:
    return float(np.square(array).sum())


def _is_mask(array: Array, other: Array) -> bool:
    return bool(np.abs(other).max(initial=0) >= _MASKED) and np.array_equal(array, other)


def _restore_dtype(array: Array, previous: Array | None) -> Array:
    if previous is None or previous.shape != array.shape or previous.dtype == array.dtype or not is_float(array.dtype):
        return array
    dtype = previous.dtype
    if is_float(dtype):
        return array.astype(dtype) if dtype.itemsize <= array.dtype.itemsize else array
    if dtype == np.bool_:
        return np.asarray(array >= 0.5)
    limits = np.iinfo(dtype)
    return np.asarray(np.rint(array).clip(limits.min, limits.max)).astype(dtype)
