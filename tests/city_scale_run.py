"""The app city_scale in this process, by its own configuration."""

import importlib.util
import tomllib
from pathlib import Path

import city_task
from fedretina.testing import LocalGrid

APP = Path(city_task.__file__).parent
DEFAULTS = tomllib.loads((APP / "pyproject.toml").read_text())["tool"]["flwr"]["app"]["config"]


def load(name):
    """Load a file of the app; other apps have files of the same name."""
    spec = importlib.util.spec_from_file_location(f"city_scale_{name}", APP / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CITY, CLIENT = load("city"), load("client_app")


class Killed(Exception):
    pass


def run_city(folder, monkeypatch, *, killed_after=None, resume=False, **config):
    """Run a city in a folder, or go on with it; return its turns."""
    monkeypatch.setenv("FEDRETINA_HOME", str(folder / "home"))
    out = {"resume": str(folder / "run")} if resume else {"out": str(folder / "run")}
    turns = []

    def on_turn(turn):
        turns.append(turn)
        if len(turns) == killed_after:
            raise Killed

    CITY.run(DEFAULTS | config | out, LocalGrid(CLIENT.app, 3), say=lambda line: None, on_turn=on_turn)
    return turns
