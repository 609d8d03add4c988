"""Run the benchmark: `python benchmarks/city_scale --help`."""

import importlib
import sys
from pathlib import Path

if __name__ == "__main__":
    # Run as a folder, its modules are the package `city_scale`; the city's task is in the app.
    here = Path(__file__).parents[1]
    sys.path[:1] = [str(here), str(here.parent / "simulations" / "city_scale")]
    importlib.import_module("city_scale.command").main()
