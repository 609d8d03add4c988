"""What a file holds, told by its first bytes: a model, a pickle, a payload, or what people mistake for a model."""

import struct
from pathlib import Path
from shlex import quote

from fedretina.dom.files.npz import members_of
from fedretina.errors import BadArgument

MODEL_SUFFIXES = (".safetensors", ".npz")
_PICKLES = (".pt", ".pth", ".bin", ".pkl", ".pickle", ".ckpt")
_LENGTH = struct.Struct("<Q")
_HEAD_BYTES = 24
_ZIPS = (b"PK\3\4", b"PK\5\6")
_STRANGERS = {
    b"version https://git-lfs": "a Git LFS pointer: the model itself was not fetched; fetch it with Git LFS",
    b"<": "a web page or XML: the download went wrong; download the file again",
    b"\x89HDF": "an HDF5 file; save the model as .safetensors",
}


def model_suffix(path: Path) -> str:
    """Return ".npz" or ".safetensors", by what a file holds.

    Raises
    ------
    BadArgument
        If it is a pickle, or something else; if its name says something else; if it cannot be read.
    """
    head, suffix = read_bytes(path, _HEAD_BYTES), path.suffix.lower()
    if not head:
        raise BadArgument(f"{path} is empty (0 bytes); get or make it again")
    stranger = next((name for start, name in _STRANGERS.items() if head.startswith(start)), None)
    if stranger is not None:
        raise BadArgument(f"{path} is no model but {stranger}")
    kind = _kind(path, head)
    if kind == "pickle" or (kind == "unknown" and suffix in _PICKLES):
        raise BadArgument(_pickle_advice(path))
    if kind == "payload":
        raise BadArgument(f"{path} is a DoM payload, no model; make a model of it with `fedretina dom decode`")
    if suffix not in MODEL_SUFFIXES and kind == "unknown":
        raise BadArgument(f"{path} is of an unknown kind; give a model as {' or '.join(MODEL_SUFFIXES)}")
    if kind not in (suffix, "unknown"):
        raise BadArgument(f"{path} holds {kind[1:]}; rename it to {path.with_suffix(kind).name}")
    return suffix


def read_bytes(path: Path, count: int) -> bytes:
    """Return a file's first bytes; all if `count` is -1. Raises `BadArgument` if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(count)
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        raise BadArgument(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _kind(path: Path, head: bytes) -> str:
    """Return what the first bytes say: ".safetensors", ".npz", "pickle", "payload" or "unknown"."""
    if head.startswith(b"FDOM"):
        return "payload"
    if head.startswith(_ZIPS):
        members = members_of(path)
        return "pickle" if any(name.endswith(".pkl") for name in members) else ".npz" if members else "unknown"
    # before pickle: a header of 640 bytes makes a .safetensors begin as pickles do, with 80 02
    if head[8:9] == b"{" and _LENGTH.unpack(head[:8])[0] < path.stat().st_size:
        return ".safetensors"
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "pickle"
    return "unknown"


def _pickle_advice(path: Path) -> str:
    target = path.with_name(f"{path.stem}{'-converted' if path.suffix == '.safetensors' else ''}.safetensors")
    return (
        f"{path} is a pickle (as torch.save writes), which can run any code when it is opened: refused. "
        "Convert its tensors once, which runs no code:\n"
        f"    fedretina dom convert {quote(str(path))} -o {quote(str(target))}"
    )
