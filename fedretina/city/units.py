"""Unit files: how a folder of a city or node starts at boot, under systemd or docker compose."""

import sys
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from fedretina.city.folders import CityFolder, NodeFolder
from fedretina.city.processes import CITY_VARIABLE, superlink_command, supernode_command

SUPERNODE_PORT = 9094
RESTART_S = 70
"""A SuperNode that restarts within a minute is refused: its last life still counts as online."""

_templates = Environment(
    loader=PackageLoader("fedretina.city", "templates"), undefined=StrictUndefined, keep_trailing_newline=True
)


def systemd_unit(folder: CityFolder | NodeFolder, *, user: str = "fedretina") -> str:
    """Return a hardened systemd unit that runs a folder's Flower process as a user of its own."""
    command = _command(folder)
    program = Path(sys.executable).with_name(command[0])
    return _templates.get_template("systemd.service.j2").render(
        kind="SuperLink of the city" if isinstance(folder, CityFolder) else "SuperNode of",
        name=folder.name,
        command=" ".join(_quote(word) for word in [str(program), *command[1:]]),
        folder=folder.path.absolute(),
        data=folder.data if isinstance(folder, NodeFolder) else "",
        variable=CITY_VARIABLE if isinstance(folder, CityFolder) else "",
        user=user,
        restart_s=RESTART_S,
        path=program.parent,
    )


def compose_file(folder: CityFolder | NodeFolder, *, image: str = "fedretina") -> str:
    """Return a compose file with one service.

    The folder is mounted where it lies, so that its paths stay true. The service runs as the folder's owner: without
    capabilities not even root reads keys of another user.
    """
    return _templates.get_template("compose.yaml.j2").render(
        service="superlink" if isinstance(folder, CityFolder) else "supernode",
        command=[word.replace("$", "$$") for word in _command(folder)],
        folder=str(folder.path.absolute()),
        owner=f"{folder.path.stat().st_uid}:{folder.path.stat().st_gid}",
        data=folder.data if isinstance(folder, NodeFolder) else "",
        port=folder.port if isinstance(folder, CityFolder) else 0,
        variable=CITY_VARIABLE if isinstance(folder, CityFolder) else "",
        image=image,
    )


def _command(folder: CityFolder | NodeFolder) -> list[str]:
    if isinstance(folder, CityFolder):
        return superlink_command(folder)
    folder.require_joined()
    return supernode_command(folder, SUPERNODE_PORT)


def _quote(word: str) -> str:
    """Quote a word for ExecStart: systemd reads % as a specifier and $ as a variable."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if escaped != word or any(c.isspace() for c in word) else word
