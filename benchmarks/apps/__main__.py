"""Run the benchmark: `python benchmarks/apps --help`."""

import importlib
import sys
from pathlib import Path

if __name__ == "__main__":
    root = Path(__file__).parents[2]
    # Run as a folder, its modules are the package `apps`; it uses the tests' grid and the digits of an app.
    sys.path[:1] = [str(root / place) for place in ("benchmarks", "tests", "simulations/any_strategy")]
    importlib.import_module("apps.command").app()
