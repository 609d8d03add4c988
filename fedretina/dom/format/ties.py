"""Tied tensors: those of equal bits, as an embedding and the head that shares its weights. They travel once (version 2)."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from fedretina.dom.format.spec import TIED, Coding, Spec
from fedretina.dom.tensors import Array, words
from fedretina.errors import Corrupt

LEAST_TIED = 64  # values; a tie takes about as many bytes as fewer do
_PROBED = 16  # values that are compared before all are


def find_ties(names: Sequence[str], new: Mapping[str, Array], base_of: Callable[[str], Array | None]) -> dict[str, str]:
    """Return which tensors are equal to an earlier one, in model and base alike, and to which.

    Examples
    --------
    >>> import numpy as np
    >>> model = {name: np.arange(100.0) for name in ("embedding", "head")} | {"other": np.ones(100)}
    >>> find_ties([*model], model, lambda name: None)
    {'head': 'embedding'}
    """
    firsts: dict[tuple[str, tuple[int, ...], bytes], list[str]] = {}
    ties = {}
    for name in names:
        array = new[name]
        if array.size < LEAST_TIED:
            continue
        probe = array.reshape(-1)[:: array.size // _PROBED].tobytes()
        known = firsts.setdefault((array.dtype.name, array.shape, probe), [])
        other = next((each for each in known if _equal(array, new[each]) and _equal(base_of(name), base_of(each))), None)
        if other is None:
            known.append(name)
        else:
            ties[name] = other
    return ties


def check_ties(specs: Sequence[Spec], codings: Sequence[Coding], tied: Sequence[int]) -> None:
    """Raise `Corrupt` if a tied tensor has another dtype or shape than the one that it equals."""
    for spec, place in zip(_tied(specs, codings), tied, strict=True):
        other = specs[place]
        if (spec.dtype, spec.shape) != (other.dtype, other.shape):
            raise Corrupt(f"tensor {spec.name!r} is tied to {other.name!r}, of another dtype or shape; drop the payload")


def tied_names(specs: Sequence[Spec], codings: Sequence[Coding], tied: Sequence[int]) -> dict[str, list[str]]:
    """Return for each tensor that others are tied to their names."""
    found: dict[str, list[str]] = {}
    for spec, place in zip(_tied(specs, codings), tied, strict=True):
        found.setdefault(specs[place].name, []).append(spec.name)
    return found


def _tied(specs: Sequence[Spec], codings: Sequence[Coding]) -> Iterator[Spec]:
    return (spec for spec, coding in zip(specs, codings, strict=True) if coding.kind == TIED)


def _equal(left: Array | None, right: Array | None) -> bool:
    """Return whether two tensors of one shape have the same bits, or neither is there."""
    if left is None or right is None:
        return left is right
    return left.dtype == right.dtype and bool((words(left) == words(right)).all())
