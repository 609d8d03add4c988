"""Ways to send a network's weights without a base, and back."""

import math
import tempfile
from collections import defaultdict
from pathlib import Path

from safetensors.numpy import load_file, save_file
from typer.testing import CliRunner

from fedretina.cli import app
from fedretina.dom import DomConfig, decode, encode
from pretrained.state import State

REFERENCE = 2**16  # values; a smaller tensor gets a smaller error where `code_by_size` codes
_FINEST = 1e-5
_PER_OCTAVE = 4


def code(state: State, error: float) -> tuple[State, int]:
    """Send weights with a keyframe error; return what arrives, and the bytes."""
    payload = encode(state, config=DomConfig(keyframe_error=error))
    return decode(payload), len(payload)


def code_by_size(state: State, error: float) -> tuple[State, int]:
    """Send weights so that a tensor of n < 65,536 values gets the error times sqrt(n / 65536); a payload for each error.

    Every tensor's relative error hurts the output about alike, whatever its size; bits are paid per value. So the same
    damage is cheapest with errors that grow with the square root of the size.
    """
    parts: dict[float, State] = defaultdict(dict)
    for name, value in state.items():
        steps = round(_PER_OCTAVE * math.log2(max(value.size, 1) / REFERENCE) / 2)
        parts[max(_FINEST, error * 2 ** (min(0, steps) / _PER_OCTAVE))][name] = value
    restored: State = {}
    total = 0
    for finer, part in parts.items():
        found, size = code(part, finer)
        restored |= found
        total += size
    return restored, total


def code_by_cli(state: State) -> tuple[State, int]:
    """Send weights by `fedretina dom encode FILE` with default options; return what `fedretina dom decode` restores."""
    with tempfile.TemporaryDirectory() as folder:
        model, payload, restored = (
            Path(folder) / name for name in ("model.safetensors", "model.dom", "restored.safetensors")
        )
        save_file(state, model)
        _run("encode", str(model), "-o", str(payload))
        _run("decode", str(payload), "-o", str(restored))
        return dict(load_file(restored)), payload.stat().st_size


def _run(*arguments: str) -> None:
    CliRunner().invoke(app, ["dom", *arguments], catch_exceptions=False)
