"""A model's digest (BLAKE3 over names, dtypes, shapes and the tensors' digests), and a model together with its digest."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

import msgpack
import numpy as np
from blake3 import blake3

from fedretina.dom.tensors import Array, Model, check_each, dtype_name, freeze

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
        If a tensor cannot travel (its dtype, say).

    Examples
    --------
    >>> import numpy as np
    >>> digest({"a": np.zeros(2), "b": np.ones(1)}) == digest({"b": np.ones(1), "a": np.zeros(2)})
    True
    """
    return check_and_digest(model)[1]


def check_and_digest(model: Model, *, threads: int = 1) -> tuple[dict[str, Array], str]:
    """Return the model in `check_model`'s form and its digest; raises the same errors."""
    checked = check_each(model, digest_bits, finite=False, threads=threads)
    rows = [(name, array.dtype, array.shape, bits) for name, (array, bits) in checked.items()]
    return {name: array for name, (array, _) in checked.items()}, digest_rows(rows)


def digest_checked(model: Model) -> str:
    """Return the digest of a model that is known to be in `check_model`'s form."""
    return digest_rows([(name, array.dtype, array.shape, digest_bits(array)) for name, array in model.items()])


def digest_rows(rows: Iterable[tuple[str, np.dtype[Any], Sequence[int], bytes]]) -> str:
    """Return a model's digest from its tensors' names, dtypes, shapes and own digests, in any order."""
    listed = [[name, dtype_name(dtype), list(shape), bits] for name, dtype, shape, bits in sorted(rows, key=itemgetter(0))]
    return blake3(msgpack.packb([_DOMAIN, listed])).hexdigest()


def digest_bits(array: Array) -> bytes:
    """Return the digest of one tensor's bits."""
    return blake3(array.reshape(-1).view(np.uint8).data).digest()


@dataclass(frozen=True)
class Version:
    """A model with its digest. The arrays are read-only; two versions are equal if their digests are."""

    model: Model = field(compare=False, repr=False)
    digest: str

    @classmethod
    def of(cls, model: Model) -> "Version":
        """Hash a model and keep a read-only copy of it.

        Raises
        ------
        BadArgument
            If a tensor cannot travel.

        Examples
        --------
        >>> import numpy as np
        >>> Version.of({"w": np.zeros(3, np.float32)}).model["w"].flags.writeable
        False
        """
        held = shared_version(model)
        return cls(freeze({name: array.copy() for name, array in held.model.items()}), held.digest)


def shared_version(model: Model, *, threads: int = 1) -> Version:
    """Return a version that shares the caller's arrays, which stay as writable as they were."""
    return Version(*check_and_digest(model, threads=threads))
