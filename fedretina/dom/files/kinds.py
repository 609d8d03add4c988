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
_MAX_PAYLOAD_BYTES = 2**34
_STRANGERS = {
    b"version https://git-lfs": "a Git LFS pointer: the model itself was not fetched; fetch it with Git LFS",
    b"<!": "a web page: the download went wrong; download the file again",
    b"<html": "a web page: the download went wrong; download the file again",
    b"<?xml": "an error message of a server: the download went wrong; download the file again",
    b"\x89HDF": "an HDF5 file; save the model as .safetensors",
    b"GGUF": "a GGUF file; save the model as .safetensors",
    b"\x93NUMPY": "one array (.npy); save named arrays with numpy.savez",
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
    kind = _kind(path, head)
    stranger = next((name for start, name in _STRANGERS.items() if head.startswith(start)), None)
    if kind == "unknown" and stranger is not None:
        raise BadArgument(f"{path} is no model but {stranger}")
    if kind == "pickle" or (kind == "unknown" and suffix in _PICKLES):
        raise BadArgument(_pickle_advice(path))
    if kind == "payload":
        target = path.with_name(f"{path.stem}-decoded.safetensors")
        command = f"fedretina dom decode {_quoted(path)} -o {_quoted(target)}"
        raise BadArgument(f"{path} is a DoM payload, no model; make a model of it with `{command}`")
    if suffix not in MODEL_SUFFIXES and kind == "unknown":
        raise BadArgument(f"{path} is of an unknown kind; give a model as {' or '.join(MODEL_SUFFIXES)}")
    if kind not in (suffix, "unknown") and suffix:
        raise BadArgument(f"{path} holds {kind[1:]}; rename it to {path.with_suffix(kind).name}")
    return suffix or kind  # a cache keeps files under their digests, without suffix


def read_payload(path: Path) -> bytes:
    """Return a payload's bytes; raise `BadArgument` if there is no such file, or it is too large for a payload."""
    try:
        size = path.stat().st_size
    except (OSError, ValueError):
        size = 0  # reading says why
    if size > _MAX_PAYLOAD_BYTES:
        raise BadArgument(f"{path} holds {size} bytes, no payload; allowed: at most {_MAX_PAYLOAD_BYTES}; give a .dom file")
    return read_bytes(path, _MAX_PAYLOAD_BYTES)


def read_bytes(path: Path, count: int) -> bytes:
    """Return a file's first bytes, at most `count`; raise `BadArgument` if it cannot be read, or is no regular file."""
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise BadArgument(f"{path} is a pipe or a device; give a regular file")
        with path.open("rb") as file:
            return file.read(count)
    except BadArgument:
        raise
    except MemoryError as error:
        raise BadArgument(f"{path} does not fit into memory; free some, or give a smaller file") from error
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        raise BadArgument(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _kind(path: Path, head: bytes) -> str:
    """Return what the first bytes say: ".safetensors", ".npz", "pickle", "payload" or "unknown"."""
    if head.startswith(b"FDOM"):
        return "payload"
    if head.startswith(_ZIPS):
        members = members_of(path)
        if any(name.endswith(".pkl") for name in members):
            return "pickle"
        return ".npz" if any(name.endswith(".npy") for name in members) else "unknown"
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
        f"    fedretina dom convert {_quoted(path)} -o {_quoted(target)}"
    )


def _quoted(path: Path) -> str:
    """Return a path as a shell takes it; one that begins with a dash is no option."""
    return quote(f"./{path}" if str(path).startswith("-") else str(path))
