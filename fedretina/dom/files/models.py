"""Models as files: .safetensors and .npz, read and written whole; pickles are refused."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fedretina.dom.files.atomic import check_output, replacing
from fedretina.dom.files.kinds import MODEL_SUFFIXES, model_suffix
from fedretina.dom.files.npz import read_npz, write_npz
from fedretina.dom.files.safetensors_file import check_size, read_header, read_tensors, write_safetensors
from fedretina.dom.files.shards import find_index, read_shards
from fedretina.dom.tensors import Array, Model, check_model
from fedretina.dom.version import Version, digest
from fedretina.errors import FedRetinaError

_log = logging.getLogger("fedretina.dom")


def ignore_progress(size: int) -> None:
    """Take no notice of what was read."""


@dataclass(frozen=True)
class ModelFile:
    """A model as it was read: the version that it is, and the text that .safetensors keeps beside the tensors."""

    path: Path
    version: Version
    metadata: Mapping[str, str] = field(default_factory=dict)


def read_model(path: Path, *, advance: Callable[[int], object] = ignore_progress) -> ModelFile:
    """Read a model and hash it.

    Parameters
    ----------
    path : Path
        A .safetensors or .npz file, told by what is in it; a name that says otherwise is an error. Or an index of shards
        (``model.safetensors.index.json``), or a folder with one: read as one model.
    advance : callable, optional
        Called after every tensor with the bytes of the file that it took.

    Raises
    ------
    BadArgument
        If there is no such file, it is damaged, a pickle, or of another kind; if a tensor cannot travel; if the model is
        over the size limit, which its header tells.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> path = Path(tempfile.mkdtemp()) / "model.npz"
    >>> write_model(path, {"w": np.arange(3, dtype=np.float32)})
    >>> read_model(path).version.model["w"]
    array([0., 1., 2.], dtype=float32)
    """
    model, metadata = _read_arrays(path, advance)
    model = {name: model[name] for name in sorted(model)}
    with errors_about(path):
        return ModelFile(path, Version(model, digest(model)), metadata)


def write_model(path: Path, model: Model, *, metadata: Mapping[str, str] | None = None) -> None:
    """Write a model in the format that the suffix names; whole, or not at all.

    Parameters
    ----------
    path : Path
        Ends in .safetensors or .npz. A file that is there is replaced when the new one is complete.
    model : mapping of str to ndarray
        Arrays that a payload can take.
    metadata : mapping of str to str, optional
        Kept by .safetensors; .npz has no place for it, and the logger ``fedretina.dom`` gets a warning.

    Raises
    ------
    BadArgument
        If the suffix is another one, the file cannot be written, or a tensor does not fit the format.
    """
    check_output(path, MODEL_SUFFIXES)
    checked = check_model(model, finite=False)
    with replacing(path) as fresh:
        if path.suffix.lower() == ".npz":
            write_npz(fresh, checked)
            if metadata:
                _log.warning("%s: .npz cannot hold the metadata %s; write .safetensors to keep it", path, dict(metadata))
        else:
            write_safetensors(fresh, checked, dict(metadata or {}))


@contextmanager
def errors_about(path: Path) -> Iterator[None]:
    """Say of what is raised in the block which file it is about."""
    try:
        yield
    except FedRetinaError as error:
        raise type(error)(f"{path}: {error}") from error


def _read_arrays(path: Path, advance: Callable[[int], object]) -> tuple[dict[str, Array], Mapping[str, str]]:
    """Return a model's arrays and its metadata."""
    index = find_index(path)
    if index is not None:
        return read_shards(index, advance)
    if model_suffix(path) == ".npz":
        return read_npz(path, advance), {}
    header = read_header(path)
    check_size(path, header.raw_bytes)
    return read_tensors(path, advance), header.metadata
