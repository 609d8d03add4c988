"""Reads a weights file of the user's own into a model; never fetches one."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from fedretina.errors import BadArgument
from fedretina.features.states import misfits
from fedretina.reid.weights_file import read_state

_CLASSIFIERS = ("fc.", "head.")
_PARALLEL = "module."  # what DataParallel and DistributedDataParallel put before every name
_COUNT = ".num_batches_tracked"


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a file's state dictionary, under the names that the model has without `DataParallel` around it.

    Parameters and errors as for `read_state`.
    """
    state = read_state(path)
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
        Keys, shapes or dtypes that are not the model's, or values that are NaN or infinite.
    """
    given = {k: v for k, v in given.items() if not k.startswith(_CLASSIFIERS)}
    wanted = {k: v for k, v in model.state_dict().items() if not k.startswith(_CLASSIFIERS)}
    neck = {k for k in wanted if k.startswith("embedding.")}
    optional = {k for k in wanted if k.endswith(_COUNT)} | (set() if neck & set(given) else neck)
    if faults := misfits(given, wanted, optional=optional):
        kind = type(model).__name__
        raise BadArgument(f"weights file {path} does not fit {kind}: it {'; '.join(faults)}. Give one of this model")
    model.load_state_dict(given, strict=False)
