"""Reads a weights file of the user's own into a model; never fetches one."""

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from fedretina.errors import BadArgument

_CLASSIFIERS = ("fc.", "head.")
_PARALLEL = "module."  # what DataParallel and DistributedDataParallel put before every name
_COUNT = ".num_batches_tracked"
_SHOWN = 5  # keys named in an error


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a file's state dictionary, under the names that the model has without `DataParallel` around it.

    Parameters
    ----------
    path : Path
        .safetensors, or .pth / .pt with a state dictionary (loaded with `weights_only=True`).

    Raises
    ------
    BadArgument
        No such file, or it is unreadable.
    """
    state = _read(path)
    if not all(name.startswith(_PARALLEL) for name in state):
        return state
    return {name.removeprefix(_PARALLEL): value for name, value in state.items()}


def load_weights(model: nn.Module, given: Mapping[str, Tensor], path: Path) -> None:
    """Copy a file's tensors into a model, the classifier excepted.

    Parameters
    ----------
    model : nn.Module
        Changed in place. Its `head` keeps its values, and so does `embedding` (the BatchNorm neck) if the file, like
        torchvision's, has none; and BatchNorm's counts of batches, which older files lack and nothing here reads.
    given : mapping of str to Tensor
        What `read_weights` gave.
    path : Path
        The file, for errors.

    Raises
    ------
    BadArgument
        Keys or shapes that are not the model's.
    """
    given = {k: v for k, v in given.items() if not k.startswith(_CLASSIFIERS)}
    wanted = {k: v for k, v in model.state_dict().items() if not k.startswith(_CLASSIFIERS)}
    neck = {k for k in wanted if k.startswith("embedding.")}
    optional = {k for k in wanted if k.endswith(_COUNT)} | (set() if neck & set(given) else neck)
    missing = [k for k in wanted if k not in given and k not in optional]
    unexpected = [k for k in given if k not in wanted]
    unfit = [
        f"{k} {tuple(given[k].shape)} instead of {tuple(v.shape)}"
        for k, v in wanted.items()
        if k in given and given[k].shape != v.shape
    ]
    faults = [("lacks", missing), ("has unknown", unexpected), ("has misshapen", unfit)]
    if any(keys for _, keys in faults):
        found = "; ".join(f"{what} {_some(keys)}" for what, keys in faults if keys)
        raise BadArgument(f"weights file {path} does not fit {type(model).__name__}: it {found}. Give one of this model")
    model.load_state_dict(given, strict=False)


def _read(path: Path) -> dict[str, Tensor]:
    """Read a state dictionary, with every way to fail turned into one error that names the file."""
    if not path.is_file():
        raise BadArgument(f"weights file {path} does not exist: give the path of a .safetensors or .pth file")
    if path.suffix not in (".safetensors", ".pth", ".pt"):
        raise BadArgument(f"weights file {path} must end in .safetensors, .pth or .pt")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise BadArgument(f"weights file {path} cannot be read as tensors: {error}") from error
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise BadArgument(f"weights file {path} must hold a state dictionary: names to tensors, nothing else")
    return state


def _some(keys: list[str]) -> str:
    """List the first few keys."""
    rest = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    return ", ".join(keys[:_SHOWN]) + rest
