"""`fedretina dom convert`: the tensors of a file that torch saved, as a model; nothing in the file is run."""

import argparse
import pickle
import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedretina.errors import BadArgument

if TYPE_CHECKING:
    from torch import Tensor

    from fedretina.dom import Model

_WRAPPERS = ("state_dict", "model_state_dict", "model", "module", "net", "weights", "ema_state_dict")
_BLOCKED = re.compile(r"GLOBAL (\S+)|(?:class|type|function) ([\w.]+)")


def read_checkpoint(path: Path, key: str | None) -> "tuple[Model, list[str]]":
    """Read the state dictionary of a file that `torch.save` wrote.

    Parameters
    ----------
    path : Path
        The file. Only tensors, numbers, text, and containers of them are made; anything else in it is refused.
    key : str or None
        The entry that holds the state dictionary. None: the file itself, or the entry that has a usual name.

    Returns
    -------
    tuple of dict of str to ndarray, list of str
        The model, and the names of what is no tensor and was left out.

    Raises
    ------
    BadArgument
        If the file cannot be read, holds objects of other kinds, or has no such entry.
    """
    entries, left_out = _find_state(path, _load(path), key)
    model = {str(name): _to_array(path, str(name), value) for name, value in entries.items() if _is_tensor(value)}
    if not model:
        raise BadArgument(f"{path} holds no tensors but {_listed(entries)}; name the entry that holds them with --key")
    return model, sorted([*left_out, *(str(name) for name, value in entries.items() if not _is_tensor(value))])


def _load(path: Path) -> Any:
    import torch

    known = torch.serialization.safe_globals([argparse.Namespace, *_number_types()])
    try:
        # an open file: of a path that ends in .safetensors, torch makes something else
        with path.open("rb") as file, known, warnings.catch_warnings(action="ignore"):
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        found = _BLOCKED.search(str(error))
        what = f"objects of {found[1] or found[2]}" if found else "more than tensors, or is damaged"
        raise BadArgument(
            f"{path} holds {what}; allowed: tensors, numbers and text; "
            "save model.state_dict() alone where the file was made, or get the file again"
        ) from error
    except OSError as error:
        raise BadArgument(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # torch raises RuntimeError, EOFError, KeyError, AttributeError, ... on damage
        if "TorchScript" in str(error):
            reason = "is a TorchScript program; save model.state_dict() alone where the file was made"
        else:
            reason = "is damaged or was not saved by torch; get or make it again"
        raise BadArgument(f"{path} {reason}") from error


def _number_types() -> Iterator[Any]:
    """Yield what numpy's numbers and arrays need to be read: a best accuracy, say."""
    import numpy as np

    yield np.dtype
    yield np.ndarray
    yield np.float64(0).__reduce__()[0]  # where these functions are depends on numpy's release
    yield np.zeros(0).__reduce__()[0]
    for kind in (np.bool_, np.int32, np.int64, np.float32, np.float64):
        yield type(np.dtype(kind))


def _find_state(path: Path, content: Any, key: str | None) -> tuple[Mapping[Any, Any], list[str]]:
    """Return the mapping that holds the tensors, and the names of the entries beside it."""
    left_out: list[str] = []
    wanted = key.split(".") if key is not None else []
    while wanted or (key is None and (name := _wrapper_of(content)) is not None):
        name = wanted.pop(0) if wanted else name
        if not isinstance(content, Mapping) or name not in content:
            raise BadArgument(f"{path} has no entry {name!r} but {_listed(content)}; give another --key")
        left_out += [str(other) for other in content if other != name]
        content = content[name]
    if not isinstance(content, Mapping):
        raise BadArgument(f"{path} holds a {type(content).__name__}; allowed: names with tensors; save model.state_dict()")
    return content, left_out


def _wrapper_of(content: Any) -> str | None:
    """Return the usual name of the entry with the state dictionary, if a checkpoint has one and no tensors beside it."""
    if not isinstance(content, Mapping) or any(map(_is_tensor, content.values())):
        return None
    return next((name for name in _WRAPPERS if isinstance(content.get(name), Mapping)), None)


def _is_tensor(value: Any) -> bool:
    import torch

    return isinstance(value, torch.Tensor)


def _to_array(path: Path, name: str, value: "Tensor") -> Any:
    """Return a tensor's values, whatever its layout in memory."""
    import ml_dtypes
    import torch

    if value.is_quantized or value.layout is not torch.strided or value.is_complex():
        found = f"{value.dtype}, {value.layout}"
        raise BadArgument(f"{path}: tensor {name!r} is {found}; allowed: dense real numbers; convert it with torch")
    value = value.detach().contiguous()
    try:
        if value.dtype is torch.bfloat16:
            return value.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
        return value.numpy()
    except (TypeError, RuntimeError) as error:
        raise BadArgument(f"{path}: tensor {name!r} is {value.dtype}, which no payload takes; convert it") from error


def _listed(content: Any) -> str:
    names = [*map(str, content)] if isinstance(content, Mapping) else []
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "") or "nothing"
