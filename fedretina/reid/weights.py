"""Load a weights file of the user into a model. Files are never downloaded."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from fedretina.errors import BadArgument
from fedretina.features import state_faults
from fedretina.reid.weights_file import read_state

_CLASSIFIERS = ("fc.", "head.")
_PARALLEL = "module."  # the prefix of DataParallel and DistributedDataParallel
_COUNT = ".num_batches_tracked"


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a file's state dictionary, with the names that the model has without `DataParallel`.

    Parameters and errors are those of `read_state`.
    """
    state = read_state(path)
    if not all(name.startswith(_PARALLEL) for name in state):
        return state
    return {name.removeprefix(_PARALLEL): value for name, value in state.items()}


def load_weights(model: nn.Module, given: Mapping[str, Tensor], path: Path) -> None:
    """Copy a file's tensors into a model, except the classifier.

    Parameters
    ----------
    model : nn.Module
        The model; it is changed in place. Its `head` keeps its values. So does `embedding` (the BatchNorm neck) if the file
        has none, like torchvision's. BatchNorm's counts of batches may be missing.
    given : mapping of str to Tensor
        The state dictionary from `read_weights`.
    path : Path
        The file, for errors.

    Raises
    ------
    BadArgument
        Names, shapes or dtypes are not the model's, or values are NaN or infinite.
    """
    given = {k: v for k, v in given.items() if not k.startswith(_CLASSIFIERS)}
    wanted = {k: v for k, v in model.state_dict().items() if not k.startswith(_CLASSIFIERS)}
    neck = {k for k in wanted if k.startswith("embedding.")}
    optional = {k for k in wanted if k.endswith(_COUNT)} | (set() if neck & set(given) else neck)
    if faults := state_faults(given, wanted, optional=optional):
        kind = type(model).__name__
        raise BadArgument(f"weights file {path} does not fit {kind}: it {'; '.join(faults)}. Give one of this model")
    model.load_state_dict(given, strict=False)
