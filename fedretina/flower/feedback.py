"""Error feedback: what quantisation lost is added to what is sent next."""

from fedretina.dom import Model
from fedretina.dom.tensors import Array, is_float


def add(model: Model, residual: Model) -> dict[str, Array]:
    """Add what was lost before; tensors that are no floats, or of which nothing fitting was lost, stay as they are.

    Parameters
    ----------
    model : mapping of str to ndarray
        What is to be sent.
    residual : mapping of str to ndarray
        Of an earlier `lost`.

    Returns
    -------
    dict of str to ndarray
        Dtypes as the model's.

    Examples
    --------
    >>> import numpy as np
    >>> add({"w": np.ones(1, np.float32)}, {"w": np.full(1, .5, np.float32)})
    {'w': array([1.5], dtype=float32)}
    """
    return {name: (array + residual[name]).astype(array.dtype) if _fits(array, residual.get(name)) else array
            for name, array in model.items()}  # fmt: skip


def lost(wanted: Model, sent: Model) -> dict[str, Array]:
    """Return what a version lacks of the model that it was made of: the floats' differences."""
    return {name: array - sent[name] for name, array in wanted.items() if _fits(array, sent.get(name))}


def _fits(array: Array, other: Array | None) -> bool:
    return is_float(array.dtype) and other is not None and other.shape == array.shape and other.dtype == array.dtype
