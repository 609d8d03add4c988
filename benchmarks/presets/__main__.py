"""Run the benchmark: `python benchmarks/presets --help`."""

import importlib
import sys
from pathlib import Path

if __name__ == "__main__":
    root = Path(__file__).parents[2]
    # Run as a folder, its modules are the package `presets`; the networks are those of the app's benchmark.
    sys.path[:1] = [str(root / place) for place in ("benchmarks", "simulations/any_strategy")]
    importlib.import_module("presets.command").app()
