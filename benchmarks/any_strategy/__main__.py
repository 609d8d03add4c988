"""Run the benchmark: `python benchmarks/any_strategy --help`."""

import importlib
import sys
from pathlib import Path

if __name__ == "__main__":
    root = Path(__file__).parents[2]
    # Run as a folder, its modules are the package `any_strategy`; it uses the choices of an app.
    sys.path[:1] = [str(root / place) for place in ("benchmarks", "simulations/any_strategy")]
    importlib.import_module("any_strategy.command").app()
