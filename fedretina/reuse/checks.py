"""Checks of arguments that several modules of this room use."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from fedretina.errors import BadArgument


def check_names(what: str, given: Mapping[str, object], expected: Sequence[str]) -> None:
    """Refuse a mapping if its names are not exactly the expected ones."""
    missing, unknown = sorted(set(expected) - set(given)), sorted(set(given) - set(expected))
    if missing or unknown:
        raise BadArgument(f"{what}: missing {missing}, unknown {unknown}; give exactly one for each of {sorted(expected)}")


def check_shape(what: str, z: Tensor, expected: tuple[int, ...]) -> None:
    """Refuse a tensor of another shape; `expected` includes the batch."""
    if tuple(z.shape) != expected:
        raise BadArgument(
            f"{what} gave {tuple(z.shape)}, expected {expected}: give the same samples in the same order "
            f"for every model, at the input size that the objective was made for"
        )
