"""Run the benchmark: `python benchmarks/peers --help`."""

import importlib
import sys
from pathlib import Path

if __name__ == "__main__":
    # Run as a folder, its modules are the package `peers`.
    sys.path[:1] = [str(Path(__file__).parents[1])]
    importlib.import_module("peers.command").main()
