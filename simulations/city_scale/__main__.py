"""Run the city without Flower's simulation: ``python simulations/city_scale domains=1000 turns=3 resume=/path``."""

import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
INTERRUPTED = 130
"""The exit status of a program that Ctrl-C ended, as shells have it."""
FLAGS = {"true": True, "false": False}
sys.path.insert(0, str(HERE))

from city import run  # noqa: E402
from fedretina.errors import BadArgument, FedRetinaError  # noqa: E402


def defaults() -> dict:
    """Read the default of every key."""
    return tomllib.loads((HERE / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["flwr"]["app"]["config"]


def with_given(arguments: list[str]) -> dict:
    """Replace defaults by the given ``key=value`` pairs; the value has the type of the default."""
    config = defaults()
    for argument in arguments:
        key, _, value = argument.partition("=")
        if key not in config:
            raise BadArgument(f"{key!r} is no key of this app: allowed are {', '.join(config)}")
        read: Callable[[str], Any] = FLAGS.__getitem__ if isinstance(config[key], bool) else type(config[key])
        try:
            config[key] = read(value)
        except (KeyError, ValueError):
            allowed = "true or false" if isinstance(config[key], bool) else f"a value like {config[key]!r}"
            raise BadArgument(f"{key} = {value!r}: give {allowed}") from None
    if any(argument.startswith("engine=") for argument in arguments) and config["engine"] != "inprocess":
        raise BadArgument(
            f"engine = {config['engine']!r}: this command has a pool of processes only; type flwr run for others"
        )
    return config | {"engine": "inprocess"}


if __name__ == "__main__":
    try:
        run(with_given(sys.argv[1:]), None, say=lambda line: print(line, flush=True))
    except FedRetinaError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
