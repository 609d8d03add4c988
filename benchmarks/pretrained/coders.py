"""Codings of a network's weights without a base."""

import math
import tempfile
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from command_line import run_fedretina
from safetensors.numpy import load_file, save_file

from fedretina.dom import DomConfig, decode, encode, keyframe_target
from pretrained.state import State

_PER_OCTAVE = 4  # sizes whose targets differ by less share a payload
_LARGEST = 0.99


def code(state: State, config: DomConfig) -> tuple[State, int]:
    """Send weights by a configuration; return what arrives, and the bytes."""
    payload = encode(state, config=config)
    return decode(payload), len(payload)


def code_sizes_alike(state: State, config: DomConfig) -> tuple[State, int]:
    """Send weights with one `keyframe_error` for tensors of all sizes (small ones usually get less), as several payloads."""
    parts: dict[float, State] = defaultdict(dict)
    for name, value in state.items():
        octaves = math.log2(keyframe_target(1.0, max(value.size, 1)))
        parts[2.0 ** (round(_PER_OCTAVE * octaves) / _PER_OCTAVE)][name] = value
    restored: State = {}
    total = 0
    for share, part in parts.items():
        error = min(config.keyframe_error / share, _LARGEST)
        found, size = code(part, replace(config, keyframe_error=error))
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
        run_fedretina("dom", "encode", str(model), "-o", str(payload))
        run_fedretina("dom", "decode", str(payload), "-o", str(restored))
        return dict(load_file(restored)), payload.stat().st_size
