"""Write every generated page: `python docs/generate`."""

import importlib
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parent.parent)  # run as a folder, its modules are the package `generate`
    importlib.import_module("generate.pages").write_all()
