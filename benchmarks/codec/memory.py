"""Peak memory of `encode` and `decode`, each in a process of its own, with as many threads as it likes.

Needs Linux, whose kernel tells a process its peak and lets it start anew.
"""

import gc
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from safetensors.numpy import load_file

from fedretina.dom import DomConfig, Effort, decode, encode

Result = TypeVar("Result")

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def is_measurable() -> bool:
    """Return whether this system tells peaks."""
    return _CLEAR.exists()


def peaks(folder: Path, effort: Effort) -> dict[str, float]:
    """Return the peaks of coding an update at c = 3, beside inputs and output, in model sizes."""
    size = sum(array.nbytes for array in load_file(folder / "new.safetensors").values())
    with tempfile.TemporaryDirectory() as name:
        arguments = [str(folder), str(Path(name) / "payload"), effort]
        return {way: _in_a_process(way, *arguments) / size for way in ("encode", "decode")}


def _in_a_process(*arguments: str) -> int:
    # A process that has coded before keeps memory that it freed, and would seem to need none.
    free = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    done = subprocess.run([sys.executable, __file__, *arguments], check=True, stdout=subprocess.PIPE, text=True, env=free)
    return int(done.stdout)


def _measure(way: str, folder: Path, file: Path, effort: Effort) -> int:
    config = DomConfig(bits=3, effort=effort)
    decode(encode({"w": np.ones((8, 8), np.float32)}, config=config))  # loads what is loaded at the first use
    base = load_file(folder / "base.safetensors")
    if way == "encode":
        new = load_file(folder / "new.safetensors")
        payload, peak = _peak(lambda: encode(new, base=base, config=config))
        file.write_bytes(payload)
        return peak - len(payload)
    data = file.read_bytes()
    model, peak = _peak(lambda: decode(data, base=base))
    return peak - sum(array.nbytes for array in model.values())


def _peak(work: Callable[[], Result]) -> tuple[Result, int]:
    gc.collect()
    _CLEAR.write_text("5", encoding="ascii")  # the peak counts from now
    before = _status("VmRSS")
    result = work()
    return result, _status("VmHWM") - before


def _status(field: str) -> int:
    lines = dict(line.split(":", 1) for line in _STATUS.read_text(encoding="ascii").splitlines())
    return 1024 * int(lines[field].split()[0])


if __name__ == "__main__":
    print(_measure(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]))  # type: ignore[arg-type]
