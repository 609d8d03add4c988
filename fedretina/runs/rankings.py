"""Copy the pictures of rankings into a run's folder.

A ranking comes from a node, so its paths are not trusted. Only files in the target's folder of the server's data are copied.
A path is compared as text and opened in that form, so that ".." does not lead out of the folder. A link in the folder may
lead out of it: the server's user put it there.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fedretina.errors import Untrusted
from fedretina.runs.fields import Fields

QUERIES, PLACES = 6, 10
"""The queries of a target, and the places of a query, that are copied and shown."""


def copy_rankings(rankings: Sequence[object], folder: Path, *, data: Path) -> list[dict[str, Any]]:
    """Copy the pictures of a target's rankings.

    Parameters
    ----------
    rankings : sequence of object
        As `fedretina.task.Task.showcase` gives them, decoded from JSON; not checked yet.
    folder : Path
        Where the pictures go; made if missing.
    data : Path
        The target's folder of data on this machine.

    Returns
    -------
    list of dict
        The rankings; their pictures are named relative to the run's folder, ``ranking/<target>/<picture>``.

    Raises
    ------
    Corrupt
        If a ranking has another form.
    Untrusted
        If a picture is not a file in `data`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return [_copy_ranking(entry, folder, f"q{number}", data) for number, entry in enumerate(rankings[:QUERIES])]


def _copy_ranking(entry: object, folder: Path, name: str, data: Path) -> dict[str, Any]:
    ranking = Fields(entry, where=f"ranking {name}")
    gallery = [Fields(place, where=f"ranking {name}, gallery") for place in ranking.items("gallery")[:PLACES]]
    return {
        "query": _copy_picture(ranking.child("query"), folder, name, data),
        "gallery": [
            {**_copy_picture(place, folder, f"{name}-{k:02d}", data), "right": place.require("right", False)}
            for k, place in enumerate(gallery)
        ],
    }


def _copy_picture(picture: Fields, folder: Path, name: str, data: Path) -> dict[str, Any]:
    source = _inside(picture.require("picture", ""), data)
    copy = folder / f"{name}{source.suffix.lower()}"
    shutil.copyfile(source, copy)
    labels = {key: str(picture.values.get(key, "?")) for key in ("identity", "camera")}
    return {"picture": copy.relative_to(folder.parent.parent).as_posix(), **labels}


def _inside(name: str, data: Path) -> Path:
    path, root = (Path(os.path.normpath(Path(each).absolute())) for each in (name, data))
    if "\0" in name or not path.is_relative_to(root) or not path.is_file():
        raise Untrusted(
            f"picture {name!r:.200} is not a file in {root}. Images stay on their node: "
            "a report shows only those that lie in the same folder of the server"
        )
    return path
