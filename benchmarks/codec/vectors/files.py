"""Models as files that are made once, whole or not at all."""

from collections.abc import Callable, Mapping
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

from fedretina.atomic import replacing

State = Mapping[str, Tensor]


def made_once(file: Path, make: Callable[[], State]) -> dict[str, Tensor]:
    """Return what the file holds; make it if it is not there."""
    if not file.exists():
        write(make(), file)
    found: dict[str, Tensor] = load_file(file)
    return found


def write(state: State, file: Path) -> None:
    """Write a model's state, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as fresh:
        save_file({name: tensor.detach().clone().contiguous() for name, tensor in state.items()}, fresh)
