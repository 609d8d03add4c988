"""The other side of `nncodec.py`: needs nothing but numpy and nncodec, and prints the seconds that each task took.

Tasks are lines of JSON: ["encode", FOLDER, OPTIONS], in.npz to stream.nnc; ["decode", FOLDER], stream.nnc to out.npz.
"""

import importlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np


def encode(folder: Path, options: dict[str, Any]) -> float:
    """Code in.npz; return the seconds."""
    with np.load(folder / "in.npz") as file:
        tensors = {name: file[name] for name in file.files}
    start = time.perf_counter()
    stream: bytes = _nnc().compress(tensors, **options, bitstream_path=str(folder / "x.nnc"), return_bitstream=True)
    seconds = time.perf_counter() - start
    (folder / "stream.nnc").write_bytes(stream)
    return seconds


def decode(folder: Path) -> float:
    """Decode to out.npz; return the seconds."""
    stream = bytearray((folder / "stream.nnc").read_bytes())
    start = time.perf_counter()
    tensors = _nnc().decompress(stream, verbose=False)
    seconds = time.perf_counter() - start
    np.savez(folder / "out.npz", **tensors)
    return seconds


def main() -> None:
    """Answer task after task."""
    del sys.path[0]  # this folder, which has a module of that name too
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # nncodec prints: not among the answers
    for line in sys.stdin:
        name, folder, *rest = json.loads(line)
        seconds = encode(Path(folder), *rest) if name == "encode" else decode(Path(folder))
        print(seconds, file=answers, flush=True)


def _nnc() -> Any:
    """Return nncodec's module: only this interpreter has it."""
    return importlib.import_module("nncodec.nnc")


if __name__ == "__main__":
    main()
