"""Read the tensors of a weights file. Errors name the file, its content, and the remedy."""

import re
import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from fedretina.errors import BadArgument, translate_errors
from fedretina.features import list_some

SUFFIXES = (".safetensors", ".pth", ".pt")
NESTED = ("state_dict", "model_state_dict", "model", "net")
"""The usual names of the state dictionary in a checkpoint."""
_HEADS = {
    b"version https://git-lfs": "is a pointer of Git LFS, not the file itself: run `git lfs pull`",
    b"<": "is a web page: open the link in a browser, and download the file itself",
    b"\x1f\x8b": "is a gzip archive: unpack it, and give the file in it",
}
_CALLED = re.compile(r"GLOBAL ([\w.]+)")


def read_state(path: Path) -> dict[str, Tensor]:
    """Read a file's state dictionary. No code in the file is executed.

    Parameters
    ----------
    path : Path
        .safetensors, or .pth / .pt (loaded with `weights_only=True`): a state dictionary, or a checkpoint with one in it,
        under one of `NESTED`.

    Raises
    ------
    BadArgument
        The file does not exist, cannot be read, or has no state dictionary.
    """
    suffix = _checked(path)
    damaged = f"weights file {path} cannot be read as tensors"
    with translate_errors(BadArgument, damaged, "it is damaged or incomplete; copy or download it again"):
        if suffix == ".safetensors":
            return load_file(path)
        return _state_in(_unpickled(path), path)


def _checked(path: Path) -> str:
    """Return the suffix; refuse a folder, an empty file, or a file of another kind than its suffix."""
    if path.is_dir():
        raise BadArgument(f"weights file {path} is a folder: give the file in it")
    if not path.is_file():
        raise BadArgument(f"weights file {path} does not exist: give the path of a .safetensors or .pth file")
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise BadArgument(f"weights file {path} must end in .safetensors, .pth or .pt: rename it if it is one of them")
    with translate_errors(BadArgument, f"weights file {path} cannot be read", "check its permissions"):
        head = _head(path)
    if not head:
        raise BadArgument(f"weights file {path} is empty (0 bytes): copy or download it again")
    for start, advice in _HEADS.items():
        if head.lstrip().startswith(start):
            raise BadArgument(f"weights file {path} {advice}")
    is_safetensors = head[8:9] == b"{" and int.from_bytes(head[:8], "little") < path.stat().st_size
    if is_safetensors and suffix != ".safetensors":
        raise BadArgument(f"weights file {path} holds safetensors: rename it to {path.with_suffix('.safetensors').name}")
    if head.startswith((b"PK\3\4", b"\x80\2")) and suffix == ".safetensors" and not is_safetensors:
        raise BadArgument(f"weights file {path} was written by torch.save: rename it to {path.with_suffix('.pth').name}")
    return suffix


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(32)


def _unpickled(path: Path) -> Any:
    """Load without running pickled code. torch's own message advises to allow such code, so it is replaced."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about old formats, which can be read
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        text = str(error)
        if "TorchScript" in text:
            content = "a TorchScript program"
        elif called := _CALLED.search(text):
            content = f"Python objects ({called[1]})"
        else:
            raise
        raise BadArgument(
            f"weights file {path} holds {content}, which could run any code: refused. "
            f"Where it was made, save the state dictionary alone: torch.save(model.state_dict(), {path.name!r})"
        ) from None


def _state_in(stored: Any, path: Path) -> dict[str, Tensor]:
    """Find the state dictionary: the stored object, or an entry of a checkpoint with a usual name."""
    if isinstance(stored, dict) and not _is_state(stored):
        stored = next((stored[name] for name in NESTED if _is_state(stored.get(name))), stored)
    if _is_state(stored):
        return dict(stored)
    keys = list_some([repr(name) for name in stored]) if isinstance(stored, dict) else ""
    found = f"has {keys}" if keys else f"is an empty or another {type(stored).__name__}"
    raise BadArgument(
        f"weights file {path} must hold a state dictionary, names to tensors and nothing else, or have one under "
        f"{', '.join(NESTED)}; it {found}: save model.state_dict()"
    )


def _is_state(value: object) -> bool:
    return (
        isinstance(value, dict)
        and bool(value)
        and all(isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in value.items())
    )
