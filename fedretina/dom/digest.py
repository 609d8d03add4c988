"""The identity of a model: one BLAKE3 digest over names, dtypes, shapes and the tensors' own digests."""

import msgpack
import numpy as np
from blake3 import blake3

from fedretina.dom.tensors import Array, Model, check_model

_DOMAIN = "fedretina.dom model"


def digest(model: Model) -> str:
    """Return the model's digest; equal exactly if names, dtypes, shapes and bits are.

    Parameters
    ----------
    model : mapping of str to ndarray
        Any dtypes that a payload takes; the order of names does not matter.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    BadArgument
        If a tensor cannot travel (its dtype, or NaN and infinity in it).

    Examples
    --------
    >>> import numpy as np
    >>> digest({"a": np.zeros(2), "b": np.ones(1)}) == digest({"b": np.ones(1), "a": np.zeros(2)})
    True
    """
    return digest_checked(check_model(model))


def digest_checked(model: Model) -> str:
    """Return the digest of a model that is known to be in `check_model`'s form."""
    rows = [[name, model[name].dtype.name, list(model[name].shape), _digest_bits(model[name])] for name in sorted(model)]
    return blake3(msgpack.packb([_DOMAIN, rows])).hexdigest()


def _digest_bits(array: Array) -> bytes:
    return blake3(array.reshape(-1).view(np.uint8).data).digest()
