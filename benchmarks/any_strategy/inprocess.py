"""simulations/any_strategy without Ray: the same two apps, every node answers in this process."""

import gc
import importlib.util
import logging
import os
import tempfile
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

from flwr.clientapp import ClientApp

from fedretina.ledger import Ledger
from fedretina.runs import RunFolder
from fedretina.testing import LocalGrid

APP = Path(__file__).parents[2] / "simulations" / "any_strategy"
DEFAULTS: dict[str, Any] = tomllib.loads((APP / "pyproject.toml").read_text())["tool"]["flwr"]["app"]["config"]


def module(name: str) -> ModuleType:
    """Load one of the app's modules: other apps have some of the same name."""
    spec = importlib.util.spec_from_file_location(f"any_strategy_{name}", APP / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def run(nodes: int = 4, **config: Any) -> dict[str, Any]:
    """Run the app with its defaults and the given changes (``_`` for ``-``), and return its summary."""
    logging.getLogger("flwr").setLevel(logging.ERROR)
    gc.freeze()  # some strategies collect garbage after each reply; this excludes all imported modules
    given = DEFAULTS | {key.replace("_", "-"): value for key, value in config.items()}
    with tempfile.TemporaryDirectory() as name:
        before = os.environ.get("FEDRETINA_HOME")
        os.environ["FEDRETINA_HOME"] = name
        try:
            app: ClientApp = module("client_app").app
            grid = LocalGrid(app, nodes, run_config=given)
            one = module("server_app").Run(given, Ledger(None))
            one.start(grid, RunFolder(Path(name) / "run"))
        finally:
            if before is None:
                del os.environ["FEDRETINA_HOME"]
            else:
                os.environ["FEDRETINA_HOME"] = before
    summary: dict[str, Any] = one.summary("completed").to_json()
    return summary
