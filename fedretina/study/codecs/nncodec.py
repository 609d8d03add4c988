"""NNCodec, the ISO's codec for neural networks (ISO/IEC 15938-17), in an interpreter of its own."""

import atexit
import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from fedretina.errors import BadArgument
from fedretina.study.codecs.codec import Codec, Floats, State

Mode = Literal["plain", "default", "smallest"]
NNCODEC_PYTHON = "FEDRETINA_NNCODEC_PYTHON"

_MODES: dict[Mode, dict[str, Any]] = {"plain": {"use_dq": False}, "default": {}, "smallest": {"lambda_scale": 1.0}}
_SIDE = Path(__file__).with_name("nncodec_side.py")


@dataclass(frozen=True, kw_only=True)
class NNCodec(Codec):
    """One quality of Fraunhofer's `nncodec`, in one of its modes.

    The package needs NumPy 1 and a compiler, so it runs in another virtual environment, whose interpreter is in the variable
    FEDRETINA_NNCODEC_PYTHON. "default" has its trellis, "plain" not; "smallest" also weighs bits against errors in the
    trellis. Norms and biases get the step of the weights: by default they would get a much finer one, which costs more.

    Parameters
    ----------
    qp : int, default -40
        The quality: a step of about ``2**(qp / 4)``, half of that with a trellis.
    mode : {"plain", "default", "smallest"}, default "smallest"
    """

    name = "nncodec"
    qp: int = -40
    mode: Mode = "smallest"
    seconds: ClassVar[dict[str, float]] = {}
    """what the last "encode" and "decode" took in the other interpreter, without files"""

    @classmethod
    def is_usable(cls) -> bool:
        """Tell whether the variable names an interpreter."""
        return nncodec_is_available()

    def pack(self, update: Mapping[str, Floats], state: State) -> bytes:
        """Code the update; the stream holds names and shapes, but no tensor without values, which nncodec refuses."""
        sent = {name: np.atleast_1d(values) for name, values in update.items() if values.size}
        if not sent:
            return b""
        options = {"qp": self.qp, "nonweight_qp": self.qp} | _MODES[self.mode]
        with tempfile.TemporaryDirectory() as name:
            np.savez(Path(name) / "in.npz", allow_pickle=False, **sent)
            self.seconds["encode"] = _side().run("encode", name, options)
            return (Path(name) / "stream.nnc").read_bytes()

    def unpack(self, data: bytes, state: State) -> Mapping[str, Floats]:
        """Decode the stream."""
        found = {name: np.zeros(spec.shape, np.float32) for name, spec in state.specs.items() if not spec.size}
        if len(found) == len(state.specs):
            return found
        with tempfile.TemporaryDirectory() as name:
            (Path(name) / "stream.nnc").write_bytes(data)
            self.seconds["decode"] = _side().run("decode", name)
            with np.load(Path(name) / "out.npz") as file:
                return found | {key: file[key].reshape(state.specs[key].shape) for key in file.files}


def nncodec_is_available() -> bool:
    """Tell whether the variable names an interpreter."""
    return bool(os.environ.get(NNCODEC_PYTHON))


class _Side:
    """The other interpreter, which stays: it takes a line of JSON for each task, and answers with its seconds."""

    def __init__(self, python: str) -> None:
        self._process = subprocess.Popen(
            [python, str(_SIDE)],
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
            self.close()
            _start.cache_clear()
            raise RuntimeError(f"NNCodec's interpreter ended; its last words are above; the task was {task}")
        return float(answer)

    def close(self) -> None:
        """End the interpreter; twice is once."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()


def _side() -> _Side:
    python = os.environ.get(NNCODEC_PYTHON)
    if not python:
        raise BadArgument(
            f"codec 'nncodec' needs {NNCODEC_PYTHON}, an interpreter with nncodec installed; set it, or use another codec"
        )
    return _start(python)


@cache
def _start(python: str) -> _Side:
    side = _Side(python)
    atexit.register(side.close)
    return side
