"""Run the benchmark: `python benchmarks/pretrained --help`."""

import importlib
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parent.parent)  # run as a folder, its modules are the package `pretrained`
    importlib.import_module("pretrained.command").app()
