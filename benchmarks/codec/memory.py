"""Peak memory of `encode` and `decode`, in a process of its own, with as many threads as they like.

python memory.py BASE NEW EFFORT prints {"encode": ..., "decode": ...}: the peak beside inputs and output, in model sizes.
Needs Linux, whose kernel tells a process its peak and lets it start anew.
"""

import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from subprocess import PIPE
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from fedretina.dom import DomConfig, decode, encode
from fedretina.dom.config import Effort

Result = TypeVar("Result")

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def is_measurable() -> bool:
    """Return whether this system tells peaks."""
    return _CLEAR.exists()


def peaks(folder: Path, effort: Effort) -> dict[str, float]:
    """Measure an update's coding in a new process."""
    files = [str(folder / f"{part}.safetensors") for part in ("base", "new")]
    unlimited = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    done = subprocess.run([sys.executable, __file__, *files, effort], check=True, stdout=PIPE, text=True, env=unlimited)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _measure(base: str, new: str, effort: Effort) -> dict[str, float]:
    config = DomConfig(bits=3, effort=effort)
    decode(encode({"w": np.ones((8, 8), np.float32)}, config=config))  # loads what is loaded at the first use
    old, fresh = load_file(base), load_file(new)
    payload, encoding = _peak(lambda: encode(fresh, base=old, config=config), output=len)
    model, decoding = _peak(lambda: decode(payload, base=old), output=_size)
    return {"encode": encoding / _size(model), "decode": decoding / _size(model)}


def _size(model: Mapping[str, NDArray[Any]]) -> int:
    return sum(array.nbytes for array in model.values())


def _peak(work: Callable[[], Result], *, output: Callable[[Result], int]) -> tuple[Result, float]:
    gc.collect()
    _CLEAR.write_text("5", encoding="ascii")  # the peak counts from now
    before = _status("VmRSS")
    result = work()
    return result, max(0, _status("VmHWM") - before - output(result))


def _status(field: str) -> int:
    lines = dict(line.split(":", 1) for line in _STATUS.read_text(encoding="ascii").splitlines())
    return 1024 * int(lines[field].split()[0])


if __name__ == "__main__":
    print(json.dumps(_measure(*sys.argv[1:])))  # type: ignore[arg-type]
