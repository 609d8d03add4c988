"""Check whether state dictionaries from files and peers fit a model, and whether their values are finite."""

from collections.abc import Collection, Mapping

import torch
from torch import Tensor

SHOWN = 5
"""Names that an error lists at most."""


def state_faults(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor], *, optional: Collection[str] = ()) -> list[str]:
    """List the faults of a state for a model, as predicates of "it"; empty if the state fits.

    Values must be finite in the model's dtype: one NaN makes every output NaN.

    Parameters
    ----------
    given, wanted : mapping of str to Tensor
        The state, and the model's own state.
    optional : collection of str
        Names that may be missing.

    Returns
    -------
    list of str
        Such as "lacks b".

    Examples
    --------
    >>> state_faults({"w": torch.zeros(2)}, {"w": torch.zeros(3), "b": torch.zeros(1)})
    ['lacks b', 'has misshapen w (2,) instead of (3,)']
    >>> state_faults({"w": torch.tensor([1.0, torch.nan])}, {"w": torch.zeros(2)})
    ['has NaN or infinite values in w (1 of 2)']
    """
    shared = [(name, given[name], value) for name, value in wanted.items() if name in given]
    fitting = [(name, value, like) for name, value, like in shared if value.shape == like.shape]
    usable = [(name, value, like) for name, value, like in fitting if not _wrong_kind(value, like)]
    other_kind = [(name, _wrong_kind(value, like), _kind(like)) for name, value, like in fitting]
    not_finite = [(name, _not_finite(value, like.dtype), value) for name, value, like in usable]
    misshapen = [(name, tuple(value.shape), tuple(like.shape)) for name, value, like in shared if value.shape != like.shape]
    faults = {
        "lacks": [name for name in wanted if name not in given and name not in optional],
        "has unknown": [name for name in given if name not in wanted],
        "has misshapen": [f"{name} {shape} instead of {own}" for name, shape, own in misshapen],
        "has values of another kind in": [f"{name} ({kind} instead of {own})" for name, kind, own in other_kind if kind],
        "has NaN or infinite values in": [f"{name} ({n} of {value.numel()})" for name, n, value in not_finite if n],
    }
    return [f"{what} {list_some(names)}" for what, names in faults.items() if names]


def list_some(names: list[str]) -> str:
    """List the first few names.

    Examples
    --------
    >>> list_some(["a", "b"]), list_some(list("abcdefg"))
    ('a, b', 'a, b, c, d, e and 2 more')
    """
    rest = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + rest


def _wrong_kind(value: Tensor, like: Tensor) -> str:
    """Name the kind of a tensor if it cannot replace another one; "" if it can."""
    if value.is_quantized or value.is_nested or value.layout != torch.strided or value.device.type == "meta":
        return _kind(value)
    if value.is_complex() or value.is_floating_point() == like.is_floating_point():
        return _kind(value) if value.is_complex() != like.is_complex() else ""
    whole = value.is_floating_point() and bool((value.double() == value.double().round()).all())  # averaged counters
    return "" if whole else _kind(value)


def _kind(value: Tensor) -> str:
    place = "" if value.layout == torch.strided else f" {str(value.layout).removeprefix('torch.')}"
    nested, meta = " nested" if value.is_nested else "", " without data" if value.device.type == "meta" else ""
    return f"{str(value.dtype).removeprefix('torch.')}{place}{nested}{meta}"


def _not_finite(value: Tensor, dtype: torch.dtype) -> int:
    return int((~value.to(dtype).isfinite()).sum())
