"""A model with its digest: what streams are made of."""

from dataclasses import dataclass, field

from fedretina.dom.digest import check_and_digest
from fedretina.dom.tensors import Model, freeze


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
        held = hold(model)
        return cls(freeze({name: array.copy() for name, array in held.model.items()}), held.digest)


def hold(model: Model, *, threads: int = 1) -> Version:
    """Return a version that shares the caller's arrays, which stay as writable as they were."""
    return Version(*check_and_digest(model, threads=threads))
