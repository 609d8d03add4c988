"""Run the benchmark: `python benchmarks/codec --help`."""

import importlib
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parent.parent)  # run as a folder, its modules are the package `codec`
    importlib.import_module("codec.command").app()
