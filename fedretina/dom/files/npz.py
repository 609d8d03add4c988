"""Models as numpy's .npz: a zip of .npy files, never with pickled objects in it."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np

from fedretina.dom.tensors import MAX_RAW_BYTES, Array, Model
from fedretina.errors import BadArgument

_MEMBER = ".npy"
_MAC = "__MACOSX/"  # what a Mac adds to a zip
_HEADERS = 2**20  # what the members' own headers may add to the limit of a model
_ENCRYPTED = 1


def members_of(path: Path) -> list[str]:
    """Return the names of what a zip file holds; none if it is damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except Exception:  # see `read_npz`
        return []


def read_npz(path: Path, advance: Callable[[int], object]) -> dict[str, Array]:
    """Return the arrays of a file, little-endian and contiguous; `advance` gets the bytes of the file that were read.

    Raises
    ------
    BadArgument
        If the file is damaged, or holds something else than plain arrays.
    """
    model: dict[str, Array] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            members = [info for info in archive.infolist() if not info.filename.startswith(_MAC) and not info.is_dir()]
            if sum(info.file_size for info in members) > MAX_RAW_BYTES + _HEADERS:
                raise BadArgument(f"{path} unpacks to more than {MAX_RAW_BYTES} bytes; split the model")
            for info in members:
                name = info.filename.removesuffix(_MEMBER)
                if name == info.filename or name in model:
                    raise BadArgument(f"{path} has the member {info.filename!r}, which is no array or there twice")
                if info.flag_bits & _ENCRYPTED:
                    raise BadArgument(f"{path} is encrypted; save the arrays without a password")
                array = _read_member(path, archive, info)
                model[name] = array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)
                advance(info.compress_size)
    except BadArgument:
        raise
    except NotImplementedError as error:
        raise BadArgument(f"{path} is packed in a way that is not known here; allowed: numpy's savez; save it so") from error
    except Exception as error:  # zipfile, zlib and numpy raise ten kinds on damage, tokenize.TokenError among them
        raise BadArgument(f"{path} is damaged or no .npz; get or make it again") from error
    return model


def _read_member(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Array:
    with archive.open(info) as file:
        dtype = _read_dtype(file)
    if dtype.hasobject:
        raise BadArgument(
            f"{path}: {info.filename} holds Python objects, which can run any code when they are opened; "
            "allowed: numbers; save numbers only"
        )
    if dtype.kind == "V" and dtype.names is None:
        raise BadArgument(
            f"{path}: {info.filename} has dtype {dtype}, as which numpy saves bfloat16 and others; "
            "save the model as .safetensors"
        )
    with archive.open(info) as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def _read_dtype(file: IO[bytes]) -> np.dtype[Any]:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(file)[2]


def write_npz(path: Path, model: Model) -> None:
    """Write the arrays, uncompressed; the same arrays give the same bytes.

    Raises
    ------
    BadArgument
        If an array is bfloat16, which .npz cannot hold, or has a zero byte in its name.
    """
    for name, array in model.items():
        if "\0" in name:
            raise BadArgument(f"tensor {name!r} has a name that .npz would cut short; write .safetensors")
        if array.dtype.name == "bfloat16":
            raise BadArgument(f"tensor {name!r} is bfloat16, which .npz cannot hold; write .safetensors")
    with zipfile.ZipFile(path, "w") as archive:
        for name in sorted(model):
            # ZipInfo's date is fixed; np.savez would put today's there, and takes no array named "file"
            with archive.open(zipfile.ZipInfo(name + _MEMBER), "w", force_zip64=True) as file:
                np.lib.format.write_array(file, model[name], allow_pickle=False)
