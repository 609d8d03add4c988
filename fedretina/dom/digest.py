"""The identity of a model: one BLAKE3 digest over names, dtypes, shapes and the tensors' own digests."""

from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any

import msgpack
import numpy as np
from blake3 import blake3

from fedretina.dom.parallel import ordered_map
from fedretina.dom.tensors import Array, Model, check_model, dtype_name

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


def digest_checked(model: Model, *, threads: int = 1) -> str:
    """Return the digest of a model that is known to be in `check_model`'s form."""
    bits = ordered_map(digest_bits, model.values(), threads=threads, weigh=lambda array: array.nbytes)
    rows = zip(model.items(), bits, strict=True)
    return digest_rows([(name, array.dtype, array.shape, own) for (name, array), own in rows])


def digest_rows(rows: Iterable[tuple[str, np.dtype[Any], Sequence[int], bytes]]) -> str:
    """Return a model's digest from its tensors' names, dtypes, shapes and own digests, in any order."""
    listed = [[name, dtype_name(dtype), list(shape), bits] for name, dtype, shape, bits in sorted(rows, key=itemgetter(0))]
    return blake3(msgpack.packb([_DOMAIN, listed])).hexdigest()


def digest_bits(array: Array) -> bytes:
    """Return the digest of one tensor's bits."""
    return blake3(array.reshape(-1).view(np.uint8).data).digest()
