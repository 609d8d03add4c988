"""NNCodec, the ISO's codec for neural networks (ISO/IEC 15938-17), in an interpreter of its own.

It needs numpy 1 and a compiler, so it runs in another virtual environment (`--nncodec-python`), and is no dependency.
"""

import json
import math
import os
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from codec.schemes.base import Payload, Scheme
from codec.update import Array, Model, Update

Mode = Literal["plain", "default", "smallest"]

_MODES: dict[Mode, dict[str, Any]] = {"plain": {"use_dq": False}, "default": {}, "smallest": {"lambda_scale": 1.0}}
_SIDE = Path(__file__).with_name("iso_side.py")


class NNCodec(Scheme):
    """One quality of NNCodec, in one of its modes.

    "default" has its trellis, "plain" not; "smallest" also weighs bits against errors in the trellis (`lambda_scale` of 1,
    the best of .3 to 5 on these vectors). Norms and biases get the step of the weights; by default they would get one so
    fine that they cost several hundredths of a bit per weight.
    """

    def __init__(self, mode: Mode, qp: int, *, python: Path) -> None:
        self.python = python
        self.options = {"qp": qp, "nonweight_qp": qp} | _MODES[mode]
        self.family = f"NNCodec {mode}"
        self.label = f"qp {qp}"

    @classmethod
    def near(cls, step: float, *, mode: Mode, python: Path) -> "NNCodec":
        """Return the quality with the nearest step, ``2**(qp / 4)``; the trellis uses every other level of half of it."""
        return cls(mode, round(4 * math.log2(step / (1 if mode == "plain" else 2))), python=python)

    def encode(self, update: Update) -> Payload:
        """Code the float tensors; what is not a float is not sent."""
        with tempfile.TemporaryDirectory() as name:
            np.savez(Path(name) / "in.npz", **update.delta)
            self.encode_s = _side(self.python).run("encode", name, self.options)
            return [(Path(name) / "stream.nnc").read_bytes()]

    def decode(self, payload: Payload, base: Model) -> dict[str, Array]:
        """Add the differences to the base."""
        with tempfile.TemporaryDirectory() as name:
            (Path(name) / "stream.nnc").write_bytes(payload[0])
            self.decode_s = _side(self.python).run("decode", name)
            with np.load(Path(name) / "out.npz") as found:
                deltas = dict(found)
        return {key: values + deltas[key] if key in deltas else values for key, values in base.items()}


class _Side:
    """The other interpreter, which stays: it takes a line of JSON for each task, and answers with its seconds."""

    def __init__(self, python: Path) -> None:
        self._process = subprocess.Popen(
            [str(python), str(_SIDE)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"OMP_NUM_THREADS": "1"},
        )

    def run(self, *task: Any) -> float:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(task) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"NNCodec's interpreter ended; its last words are above; the task was {task}")
        return float(answer)


@cache
def _side(python: Path) -> _Side:
    return _Side(python)
