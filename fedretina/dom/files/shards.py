"""A model in several .safetensors files with an index, as transformers writes models that are large."""

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fedretina.dom.files.kinds import read_bytes
from fedretina.dom.files.safetensors_file import SafetensorsHeader, check_size, read_header, read_tensors
from fedretina.dom.tensors import Array
from fedretina.errors import BadArgument

INDEX_SUFFIX = ".safetensors.index.json"
_PICKLED_INDEX = ".bin.index.json"
_MAX_INDEX_BYTES = 2**26
_log = logging.getLogger("fedretina.dom")


def find_index(path: Path) -> Path | None:
    """Return the index that a path means: the file itself, or the only one in a folder; None for another file.

    Raises
    ------
    BadArgument
        If a folder has no index or several, or the index is of pickled shards.
    """
    if path.name.endswith(_PICKLED_INDEX):
        raise BadArgument(f"{path} is an index of pickles, which is not read; convert each of its files (*.bin)")
    if path.name.endswith(INDEX_SUFFIX):
        return path
    try:
        if not path.is_dir():
            return None
        names = sorted(entry.name for entry in path.iterdir())
    except (OSError, ValueError):  # whoever reads the file says why
        return None
    found = [name for name in names if name.endswith(INDEX_SUFFIX)]
    if len(found) != 1:
        models = [name for name in names if name.endswith((".safetensors", ".npz"))]
        listed = ", ".join((found or models)[:5]) or "none"
        raise BadArgument(
            f"{path} cannot be read: Is a directory with {len(found)} indexes (*{INDEX_SUFFIX}); allowed: one; "
            f"give one file of it ({listed})"
        )
    return path / found[0]


def read_shards(index: Path, advance: Callable[[int], object]) -> tuple[dict[str, Array], dict[str, str]]:
    """Return the tensors of all files that an index names, and the metadata of these files.

    Raises
    ------
    BadArgument
        If the index or a file is damaged or missing, or both disagree; if all together are over the size limit.
    """
    shards = _read_index(index)
    headers = {path: read_header(path) for path in shards}
    for path, header in headers.items():
        _check_names(index, path, shards[path], header)
    check_size(index, sum(header.raw_bytes for header in headers.values()))
    model: dict[str, Array] = {}
    for path in shards:
        model |= read_tensors(path, advance)
    return model, _join_metadata(headers)


def _read_index(index: Path) -> dict[Path, set[str]]:
    """Return the index's files with the names of their tensors."""
    data = read_bytes(index, _MAX_INDEX_BYTES)
    try:
        content: Any = json.loads(data)
        listed = content["weight_map"].items()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadArgument(f"{index} is no index of shards: it has no 'weight_map'; get or make it again") from error
    shards: dict[Path, set[str]] = {}
    for name, file in listed:
        if not isinstance(file, str) or not file.endswith(".safetensors") or Path(file).name != file or "\0" in file:
            raise BadArgument(f"{index} puts {name!r:.80} into {file!r:.80}; allowed: a .safetensors file of its own folder")
        shards.setdefault(index.parent / file, set()).add(name)
    return shards


def _check_names(index: Path, path: Path, listed: set[str], header: SafetensorsHeader) -> None:
    differing = sorted(listed.symmetric_difference(header.names))
    if differing:
        where = "only the index" if differing[0] in listed else "only the file"
        raise BadArgument(
            f"{index} and {path.name} do not fit: {where} has {differing[0]!r} ({len(differing)} such tensors); "
            "get both from the same version of the model"
        )


def _join_metadata(headers: Mapping[Path, SafetensorsHeader]) -> dict[str, str]:
    metadata: dict[str, str] = {}
    for path, header in headers.items():
        for key, value in header.metadata.items():
            if metadata.setdefault(key, value) != value:
                _log.warning("%s: metadata %r differs between the files of the model; the first one's is kept", path, key)
    return metadata
