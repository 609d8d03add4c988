"""Models as .safetensors: the header is read and bounded here, before the library reads the tensors."""

import json
import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedretina.dom.tensors import MAX_RAW_BYTES, Array
from fedretina.errors import BadArgument

DTYPE_BITS = {
    **{"BOOL": 8, "I8": 8, "I16": 16, "I32": 32, "I64": 64, "U8": 8, "U16": 16, "U32": 32, "U64": 64},
    **{"F16": 16, "BF16": 16, "F32": 32, "F64": 64},
}
_LENGTH = struct.Struct("<Q")
_MAX_HEADER_BYTES = 100_000_000  # the format's own limit
_METADATA = "__metadata__"
_AGAIN = "get or make it again"


@dataclass(frozen=True)
class SafetensorsHeader:
    """The names of a file's tensors, what they take in bytes, and the text beside them."""

    names: tuple[str, ...]
    raw_bytes: int
    metadata: Mapping[str, str]


def read_header(path: Path) -> SafetensorsHeader:
    """Read a file's header.

    Raises
    ------
    BadArgument
        If the file is damaged or incomplete, has a dtype that no payload takes, or is over the size limit of a model.
    """
    try:
        entries, data_bytes = _read_entries(path)
        metadata = entries.pop(_METADATA, {})
        sizes = {name: _declared_bytes(path, name, entry) for name, entry in entries.items()}
        end = max((int(entry["data_offsets"][1]) for entry in entries.values()), default=0)
        text = {key: value for key, value in (metadata or {}).items() if isinstance(value, str)}
    except BadArgument:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RecursionError) as error:
        raise BadArgument(f"{path} is damaged: its header is no list of tensors; {_AGAIN}") from error
    except OSError as error:
        raise BadArgument(f"{path} cannot be read: {error.strerror or error}") from error
    if end > data_bytes:
        raise BadArgument(f"{path} is incomplete: it holds {data_bytes} of {end} bytes of tensors; {_AGAIN}")
    return SafetensorsHeader(tuple(entries), sum(sizes.values()), text)


def read_tensors(path: Path, advance: Callable[[int], object]) -> dict[str, Array]:
    """Return the tensors of a file whose header was read; `advance` gets the bytes of each.

    Raises
    ------
    BadArgument
        If the file is damaged.
    """
    import safetensors

    model: dict[str, Array] = {}
    try:
        with safetensors.safe_open(path, framework="np") as file:
            for name in file.keys():  # noqa: SIM118 - the file is no mapping
                model[name] = file.get_tensor(name)
                advance(model[name].nbytes)
    except (safetensors.SafetensorError, OSError, ValueError, TypeError) as error:
        raise BadArgument(f"{path} is damaged: its header and its tensors do not fit; {_AGAIN}") from error
    return model


def write_safetensors(path: Path, model: dict[str, Array], metadata: dict[str, str]) -> None:
    """Write a file.

    Raises
    ------
    BadArgument
        If a tensor has the name that the format keeps for metadata, or the header gets too large.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    if _METADATA in model:
        raise BadArgument(f"tensor {_METADATA!r} has a name that .safetensors keeps for itself; rename it, or write .npz")
    try:
        save_file(model, path, metadata=metadata or None)
    except SafetensorError as error:
        raise BadArgument(f"the model cannot be written as .safetensors: {error}") from error


def check_size(path: Path, raw_bytes: int) -> None:
    """Raise `BadArgument` if a model is over the limit, before any of it is read."""
    if raw_bytes > MAX_RAW_BYTES:
        raise BadArgument(f"{path} holds {raw_bytes} bytes of tensors; allowed: at most {MAX_RAW_BYTES}; split the model")


def _read_entries(path: Path) -> tuple[dict[str, Any], int]:
    """Return the header's entries, and how many bytes follow it."""
    with path.open("rb") as file:
        size = path.stat().st_size
        start = file.read(_LENGTH.size)
        length = _LENGTH.unpack(start)[0] if len(start) == _LENGTH.size else size
        if length > min(size - _LENGTH.size, _MAX_HEADER_BYTES):
            raise BadArgument(f"{path} is damaged or no .safetensors: it ends within its header; {_AGAIN}")
        entries = json.loads(file.read(length))
    if not isinstance(entries, dict):
        raise TypeError("the header is no object")
    return entries, size - _LENGTH.size - length


def _declared_bytes(path: Path, name: str, entry: Mapping[str, Any]) -> int:
    dtype, shape = entry["dtype"], entry["shape"]
    if dtype not in DTYPE_BITS:
        allowed = ", ".join(sorted(DTYPE_BITS))
        raise BadArgument(f"{path}: tensor {name!r} has dtype {dtype}; allowed: {allowed}; convert it to one of these")
    return math.prod(int(side) for side in shape) * DTYPE_BITS[dtype] // 8
