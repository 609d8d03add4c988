"""Models as files: .safetensors and .npz, read and written whole; pickles are refused."""

import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fedretina.dom.files.atomic import check_output, replacing
from fedretina.dom.files.npz import members_of, read_npz, write_npz
from fedretina.dom.tensors import Array, Model, check_model
from fedretina.dom.version import Version, digest
from fedretina.errors import BadArgument, FedRetinaError

MODEL_SUFFIXES = (".safetensors", ".npz")
_PICKLES = (".pt", ".pth", ".bin", ".pkl", ".pickle", ".ckpt")
_DTYPES = frozenset(["BOOL", "I8", "I16", "I32", "I64", "U8", "U16", "U32", "U64", "F16", "BF16", "F32", "F64"])
_LENGTH = struct.Struct("<Q")
_HEAD_BYTES = 9
_METADATA = "__metadata__"
_ZIPS = (b"PK\3\4", b"PK\5\6")


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
        A .safetensors or .npz file, told by what is in it; a name that says otherwise is an error.
    advance : callable, optional
        Called after every tensor with the bytes of the file that it took.

    Raises
    ------
    BadArgument
        If there is no such file, it is damaged, a pickle, or of another kind; if a tensor cannot travel.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> path = Path(tempfile.mkdtemp()) / "model.npz"
    >>> write_model(path, {"w": np.arange(3, dtype=np.float32)})
    >>> read_model(path).version.model["w"]
    array([0., 1., 2.], dtype=float32)
    """
    suffix = _checked_suffix(path)
    metadata: Mapping[str, str] = {}
    if suffix == ".npz":
        model = read_npz(path, advance)
    else:
        model, metadata = _read_safetensors(path, advance)
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
        Kept by .safetensors; .npz has no place for it.

    Raises
    ------
    BadArgument
        If the suffix is another one, the file cannot be written, or a tensor does not fit the format.
    """
    check_output(path, MODEL_SUFFIXES)
    checked = check_model(model)
    with replacing(path) as fresh:
        if path.suffix.lower() == ".npz":
            write_npz(fresh, checked)
        else:
            _write_safetensors(fresh, checked, dict(metadata or {}))


def read_payload(path: Path) -> bytes:
    """Return a payload's bytes; raise `BadArgument` if there is no such file."""
    return _read_bytes(path, -1)


@contextmanager
def errors_about(path: Path) -> Iterator[None]:
    """Say of what is raised in the block which file it is about."""
    try:
        yield
    except FedRetinaError as error:
        raise type(error)(f"{path}: {error}") from error


def _checked_suffix(path: Path) -> str:
    """Return ".npz" or ".safetensors"; refuse pickles, and what its name or its content says is something else."""
    kind, suffix = _kind(path), path.suffix.lower()
    if kind == "pickle" or (kind == "unknown" and suffix in _PICKLES):
        raise BadArgument(_pickle_advice(path))
    if kind == "payload":
        raise BadArgument(f"{path} is a DoM payload, no model: `fedretina dom decode` makes a model of it")
    if suffix not in MODEL_SUFFIXES and kind == "unknown":
        raise BadArgument(f"{path} is of an unknown kind; give a model as {' or '.join(MODEL_SUFFIXES)}")
    if kind not in (suffix, "unknown"):
        raise BadArgument(f"{path} holds {kind[1:]}; rename it to {path.with_suffix(kind).name}")
    return suffix


def _kind(path: Path) -> str:
    """Return what the first bytes say: ".safetensors", ".npz", "pickle", "payload" or "unknown"."""
    head = _read_bytes(path, _HEAD_BYTES)
    if head.startswith(b"FDOM"):
        return "payload"
    if head.startswith(_ZIPS):
        members = members_of(path)
        return "pickle" if any(name.endswith(".pkl") for name in members) else ".npz" if members else "unknown"
    # before pickle: a header of 640 bytes makes a .safetensors begin as pickles do, with 80 02
    if head[8:] == b"{" and _LENGTH.unpack(head[:8])[0] < path.stat().st_size:
        return ".safetensors"
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "pickle"
    return "unknown"


def _pickle_advice(path: Path) -> str:
    target = path.with_suffix(".safetensors")
    return (
        f"{path} is a pickle (as torch.save writes), which can run any code when it is opened: refused. Convert it once:\n"
        "    import torch, safetensors.torch\n"
        f"    safetensors.torch.save_file(torch.load({str(path)!r}, weights_only=True), {str(target)!r})"
    )


def _read_bytes(path: Path, count: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(count)
    except OSError as error:
        raise BadArgument(f"{path} cannot be read: {error.strerror or error}") from error


def _read_safetensors(path: Path, advance: Callable[[int], object]) -> tuple[dict[str, Array], dict[str, str]]:
    import safetensors

    model: dict[str, Array] = {}
    try:
        with safetensors.safe_open(path, framework="np") as file:
            for name in file.keys():  # noqa: SIM118 - the file is no mapping
                dtype = file.get_slice(name).get_dtype()
                if dtype not in _DTYPES:
                    raise BadArgument(f"{path}: tensor {name!r} has dtype {dtype}; allowed: {', '.join(sorted(_DTYPES))}")
                model[name] = file.get_tensor(name)
                advance(model[name].nbytes)
            return model, file.metadata() or {}
    except (safetensors.SafetensorError, OSError) as error:
        raise BadArgument(f"{path} cannot be read as .safetensors: {error}; get or make it again") from error


def _write_safetensors(path: Path, model: dict[str, Array], metadata: dict[str, str]) -> None:
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    if _METADATA in model:
        raise BadArgument(f"tensor {_METADATA!r} has a name that .safetensors keeps for itself; rename it, or write .npz")
    try:
        save_file(model, path, metadata=metadata or None)
    except SafetensorError as error:
        raise BadArgument(f"the model cannot be written as .safetensors: {error}") from error
