"""The other side of `iso.py`: needs nothing but numpy and nncodec, and prints the seconds that coding took.

python iso_side.py FOLDER encode QP TRELLIS    in.npz -> stream.nnc
python iso_side.py FOLDER decode               stream.nnc -> out.npz
"""

import sys
import time
from pathlib import Path

import numpy as np
from nncodec import nnc


def encode(folder: Path, qp: int, trellis: bool) -> float:
    with np.load(folder / "in.npz") as file:
        tensors = {name: file[name] for name in file.files}
    start = time.perf_counter()
    stream = nnc.compress(tensors, qp=qp, use_dq=trellis, bitstream_path=str(folder / "x.nnc"), return_bitstream=True)
    seconds = time.perf_counter() - start
    (folder / "stream.nnc").write_bytes(stream)
    return seconds


def decode(folder: Path) -> float:
    stream = bytearray((folder / "stream.nnc").read_bytes())
    start = time.perf_counter()
    tensors = nnc.decompress(stream, verbose=False)
    seconds = time.perf_counter() - start
    np.savez(folder / "out.npz", **tensors)
    return seconds


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    print(encode(folder, int(sys.argv[3]), sys.argv[4] == "1") if sys.argv[2] == "encode" else decode(folder))
