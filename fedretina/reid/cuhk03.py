"""Read CUHK03 under the new protocol (Zhong et al., CVPR 2017): extracted images and a file that splits them.

The splits come from ``cuhk03_new_protocol_config_detected.mat`` or from ``splits_new_detected.json``, the images lie in
``images_detected`` (or ``labeled`` for both). That is how the common toolboxes leave them.
"""

import json
import re
from pathlib import Path

from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from fedretina.errors import BadArgument
from fedretina.reid.folder import GALLERY, QUERY, TRAIN, Photo

KINDS = ("detected", "labeled")
RAW = "cuhk-03.mat"
_NAME = re.compile(r"(\d+)_(\d+)_([12])_(\d+)\.")


def is_cuhk03(folder: Path) -> bool:
    """Say whether a folder holds CUHK03: extracted images, or the distributed file that they are extracted from."""
    return any((folder / f"images_{kind}").is_dir() for kind in KINDS) or (folder / RAW).is_file()


def cuhk03_splits(folder: Path) -> dict[str, list[Photo]]:
    """Read the splits: of the detected boxes if they are there, else of the labelled ones.

    Parameters
    ----------
    folder : Path
        Holds ``images_detected`` with files named ``PAIR_PERSON_VIEW_NUMBER.png``, and one of the two files of splits.

    Returns
    -------
    dict of str to list of Photo
        By split. An identity is pair and person, a camera is pair and view (1 to 10): two views of a pair are two cameras.

    Raises
    ------
    BadArgument
        Images or splits are missing, or a name is not CUHK03's.
    """
    for kind in KINDS:
        images = folder / f"images_{kind}"
        if images.is_dir():
            return {split: [_photo(images / name) for name in names] for split, names in _names(folder, kind).items()}
    raise BadArgument(
        f"{folder} holds {RAW} alone: extract its images to images_detected, named PAIR_PERSON_VIEW_NUMBER.png, "
        f"as the usual re-identification toolboxes do on first use"
    )


def _names(folder: Path, kind: str) -> dict[str, list[str]]:
    matrix, lists = folder / f"cuhk03_new_protocol_config_{kind}.mat", folder / f"splits_new_{kind}.json"
    if matrix.is_file():
        return _from_matrix(matrix)
    if lists.is_file():
        return _from_json(lists)
    raise BadArgument(
        f"{folder} has images_{kind}, but neither {matrix.name} nor {lists.name}, which say how they are split"
    )


def _from_matrix(file: Path) -> dict[str, list[str]]:
    try:
        stored = loadmat(file)
        names = [str(cell[0]) for cell in stored["filelist"].ravel()]
        places = {TRAIN: "train_idx", QUERY: "query_idx", GALLERY: "gallery_idx"}
        return {split: [names[int(i) - 1] for i in stored[key].ravel()] for split, key in places.items()}
    except (MatReadError, ValueError, KeyError, IndexError, NotImplementedError) as error:
        raise BadArgument(f"{file} is not the protocol's file of file names and indices: {error}") from error


def _from_json(file: Path) -> dict[str, list[str]]:
    try:
        stored = json.loads(file.read_text(encoding="utf-8"))
        first = stored[0] if isinstance(stored, list) else stored
        # The paths in it are those of the machine that extracted the images.
        return {split: [Path(row[0]).name for row in first[key]] for split, key in _KEYS.items()}
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise BadArgument(f"{file} does not list train, query and gallery: {error}") from error


_KEYS = {TRAIN: "train", QUERY: "query", GALLERY: "gallery"}


def _photo(path: Path) -> Photo:
    fit = _NAME.match(path.name)
    if fit is None:
        raise BadArgument(f"{path.name} is not named as CUHK03's images are, PAIR_PERSON_VIEW_NUMBER.png")
    pair, person, view, _ = (int(part) for part in fit.groups())
    return Photo(path, 10_000 * pair + person, 2 * (pair - 1) + view)
