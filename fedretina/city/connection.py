"""The connection by which ``flwr run APP CITY`` finds the city's SuperLink: a section of Flower's config.toml."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

from fedretina import atomic
from fedretina.city.folders import CityFolder
from fedretina.errors import BadArgument


def config_file() -> Path:
    """Return the path of Flower's configuration: ``$FLWR_HOME/config.toml``, by default in ``~/.flwr``."""
    return Path(os.environ.get("FLWR_HOME") or Path.home() / ".flwr") / "config.toml"


def write_connection(city: CityFolder) -> Path:
    """Add the city's connection to Flower's configuration, or renew it; other sections stay as they are.

    Returns
    -------
    Path
        The configuration.

    Raises
    ------
    BadArgument
        If the configuration cannot be read.
    """
    path = config_file()
    if not path.exists():
        subprocess.run(["flwr", "config", "list"], check=True, capture_output=True)  # it writes Flower's defaults
    text = path.read_text(encoding="utf-8")
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadArgument(
            f"{path} cannot be read as TOML ({error}): mend it, then run `fedretina city init` again"
        ) from error
    section = f'[superlink."{city.name}"]\naddress = "{city.address}"\nroot-certificates = "{city.tls / "ca.crt"}"\n'
    old = re.compile(rf'^\[superlink\."?{re.escape(city.name)}"?\]\n(?:(?!\[).*\n?)*', re.MULTILINE)
    kept = old.sub("", text).rstrip()
    atomic.write_text(path, f"{kept}\n\n{section}")
    return path
