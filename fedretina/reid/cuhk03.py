"""Read CUHK03 under the new protocol (Zhong et al., CVPR 2017): extracted images and a file of splits.

The splits are in ``cuhk03_new_protocol_config_detected.mat`` or in ``splits_new_detected.json``, and the images in
``images_detected`` (or ``labeled`` in both names). The common toolboxes create these files.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fedretina.errors import BadArgument, Corrupt, translate_errors
from fedretina.reid.folder import GALLERY, QUERY, TRAIN, Contents, Photo
from fedretina.reid.matlab import Value, read_matlab
from fedretina.reid.text import file_name, read_text

KINDS = ("detected", "labeled")
RAW = "cuhk-03.mat"
_NAME = re.compile(r"(\d{1,4})_(\d{1,4})_([12])_(\d+)\.", re.ASCII)
_HDF5_AT, _HDF5 = 512, b"\x89HDF"
"""Offset and first bytes of the content of a MATLAB 7.3 file."""


def is_cuhk03(folder: Path) -> bool:
    """Tell whether a folder has CUHK03: the extracted images, or the distributed file."""
    return any((folder / f"images_{kind}").is_dir() for kind in KINDS) or (folder / RAW).is_file()


def read_cuhk03(folder: Path) -> Contents:
    """Read the splits of the detected boxes; if there are none, those of the labelled boxes.

    Only the file names of the paths in the file of splits are used: the paths may come from another machine, or Windows.

    Parameters
    ----------
    folder : Path
        The folder, with ``images_detected`` (files ``PAIR_PERSON_VIEW_NUMBER.png``) and one of the two files of splits.

    Returns
    -------
    Contents
        The photos by split. Pair and person give the identity; pair and view give the camera (1 to 10).

    Raises
    ------
    BadArgument
        Images or splits are missing, or a file name is not CUHK03's.
    """
    for kind in KINDS:
        images = folder / f"images_{kind}"
        if images.is_dir():
            file, names = _names(folder, kind)
            return Contents(
                {split: [_photo(images / file_name(name)) for name in of_split] for split, of_split in names.items()},
                dict.fromkeys(names, file),
            )
    raise BadArgument(
        f"{folder} holds {RAW} alone: extract its images to images_detected, named PAIR_PERSON_VIEW_NUMBER.png, "
        f"as the usual re-identification toolboxes do on first use"
    )


def _names(folder: Path, kind: str) -> tuple[Path, Mapping[str, list[str]]]:
    matrix, lists = folder / f"cuhk03_new_protocol_config_{kind}.mat", folder / f"splits_new_{kind}.json"
    for file, read in ((matrix, _from_matrix), (lists, _from_json)):
        if file.is_file():
            return file, read(file)
    raise BadArgument(
        f"{folder} has images_{kind}, but neither {matrix.name} nor {lists.name}, which say how they are split"
    )


def _from_matrix(file: Path) -> dict[str, list[str]]:
    found, remedy = f"{file} is not the protocol's file of file names and indices", "get the protocol's own file again"
    with translate_errors(BadArgument, found, remedy):
        data = file.read_bytes()
        if data[_HDF5_AT:].startswith(_HDF5):
            raise BadArgument(f"{file} is of MATLAB 7.3 (HDF5), which is not read: save it with '-v7', or {remedy}")
        try:
            stored = read_matlab(data)
        except Corrupt as error:
            raise BadArgument(f"{found} ({error}): {remedy}") from error
        names = stored["filelist"]
        return {split: _chosen(names, stored[key]) for split, key in _INDICES.items()}


def _chosen(names: Value, index: Value) -> list[str]:
    """Choose names by MATLAB's indices, which start at 1."""
    if not isinstance(names, list) or not isinstance(index, np.ndarray):
        raise TypeError("filelist holds no names, or an index no numbers")
    numbers = np.asarray(index, np.float64)
    if not all(number.is_integer() and 0 < number <= len(names) for number in numbers.tolist()):
        raise IndexError(f"indices beyond 1 to {len(names)}")
    return [names[int(number) - 1] for number in numbers]


def _from_json(file: Path) -> dict[str, list[str]]:
    text = read_text(file)
    with translate_errors(BadArgument, f"{file} does not list train, query and gallery", "get the toolbox's file again"):
        stored: Any = json.loads(text)
        first = stored[0] if isinstance(stored, list) else stored
        return {split: [_first(row) for row in first[key]] for split, key in _KEYS.items()}


def _first(row: Any) -> str:
    if not isinstance(row, list) or not row or not isinstance(row[0], str):
        raise TypeError(f"{row!r:.60} is no list that begins with a path")
    return row[0]


_KEYS = {TRAIN: "train", QUERY: "query", GALLERY: "gallery"}
_INDICES = {TRAIN: "train_idx", QUERY: "query_idx", GALLERY: "gallery_idx"}


def _photo(path: Path) -> Photo:
    fit = _NAME.match(path.name)
    if fit is None:
        raise BadArgument(f"{path.name!r} is not named as CUHK03's images are, PAIR_PERSON_VIEW_NUMBER.png: rename it")
    pair, person, view = (int(part) for part in fit.groups()[:3])
    return Photo(path, 10_000 * pair + person, 2 * (pair - 1) + view)
