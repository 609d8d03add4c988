"""NNCodec, the ISO's codec for neural networks (ISO/IEC 15938-17), in an interpreter of its own.

It needs numpy 1 and a compiler, so it runs in another virtual environment (`--nncodec-python`), and is no dependency.
"""

import json
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from codec.schemes.base import Payload, Scheme
from codec.update import Array, Model, Update

_SIDE = Path(__file__).with_name("iso_side.py")


class NNCodec(Scheme):
    """One quality of NNCodec: the step is about ``2**(qp / 4)``; with its trellis, as by default, or without."""

    def __init__(self, python: Path, qp: int, *, trellis: bool) -> None:
        self.python = python
        self.qp = qp
        self.trellis = trellis
        self.family = "NNCodec" if trellis else "NNCodec, no trellis"
        self.label = f"qp {qp}"

    def encode(self, update: Update) -> Payload:
        """Code the float tensors; what is not a float is not sent."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            np.savez(folder / "in.npz", **update.delta)
            self.encode_s = self._run(folder, "encode", str(self.qp), str(int(self.trellis)))
            return [(folder / "stream.nnc").read_bytes()]

    def decode(self, payload: Payload, base: Model) -> dict[str, Array]:
        """Add the differences to the base."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "stream.nnc").write_bytes(payload[0])
            self.decode_s = self._run(folder, "decode")
            with np.load(folder / "out.npz") as found:
                deltas: Mapping[str, Array] = dict(found)
        return {key: values + deltas[key] if key in deltas else values for key, values in base.items()}

    def _run(self, folder: Path, *arguments: str) -> float:
        """Return the seconds that the other side needed, without its start and its files."""
        command = [str(self.python), str(_SIDE), str(folder), *arguments]
        done = subprocess.run(command, check=True, capture_output=True, text=True, env={"OMP_NUM_THREADS": "1"})
        return float(json.loads(done.stdout.splitlines()[-1]))
