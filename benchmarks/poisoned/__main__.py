"""Run the benchmark: `python benchmarks/poisoned --help`."""

import importlib
import sys
from pathlib import Path

if __name__ == "__main__":
    # Run as a folder, its modules are the package `poisoned`.
    sys.path[:1] = [str(Path(__file__).parents[1])]
    importlib.import_module("poisoned.command").main()
