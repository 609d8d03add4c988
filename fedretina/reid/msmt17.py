"""Read MSMT17 as it is distributed: lists of files with identities (Wei et al., CVPR 2018)."""

from pathlib import Path

from fedretina.errors import BadArgument
from fedretina.reid.folder import GALLERY, QUERY, TRAIN, Photo

LISTS = {TRAIN: ("list_train.txt", "list_val.txt"), QUERY: ("list_query.txt",), GALLERY: ("list_gallery.txt",)}
FOLDERS = {"train": ("train", "mask_train_v2"), "test": ("test", "mask_test_v2")}
APART = 100_000
"""Train identities begin here: the lists number those of train and test from 0 each, and they are other people."""


def is_msmt17(folder: Path) -> bool:
    """Say whether a folder holds MSMT17's lists."""
    return (folder / "list_train.txt").is_file() and (folder / "list_query.txt").is_file()


def msmt17_splits(folder: Path) -> dict[str, list[Photo]]:
    """Read the splits by the lists; the validation list belongs to the train split, as Table 1 counts.

    Parameters
    ----------
    folder : Path
        Holds ``list_train.txt``, ``list_val.txt``, ``list_query.txt``, ``list_gallery.txt`` and the folders ``train`` and
        ``test`` (of the second version: ``mask_train_v2`` and ``mask_test_v2``).

    Returns
    -------
    dict of str to list of Photo
        By split. Identities are the lists', those of the train split shifted by 100,000.

    Raises
    ------
    BadArgument
        A list or an image folder is missing, or a line is not ``path identity``.
    """
    images = {part: _images(folder, part) for part in FOLDERS}
    return {
        split: [
            photo
            for name in names
            for photo in _read(folder / name, images["train" if split == TRAIN else "test"], APART * (split == TRAIN))
        ]
        for split, names in LISTS.items()
    }


def _images(folder: Path, part: str) -> Path:
    found = [folder / name for name in FOLDERS[part] if (folder / name).is_dir()]
    if not found:
        raise BadArgument(f"{folder} has MSMT17's lists, but no folder {' or '.join(FOLDERS[part])} with their images")
    return found[0]


def _read(file: Path, images: Path, shift: int) -> list[Photo]:
    if not file.is_file():
        raise BadArgument(f"{file.parent} lacks MSMT17's list {file.name}")
    lines = [line.split() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    try:
        return [Photo(images / path, int(identity) + shift, _camera(path)) for path, identity in lines]
    except (ValueError, IndexError) as error:
        raise BadArgument(f"{file} has a line that is not 'PATH IDENTITY' with MSMT17's file names: {error}") from None


def _camera(path: str) -> int:
    """Read the camera of ``0000/0000_000_01_0303morning_0015_0.jpg``: the third part."""
    return int(Path(path).name.split("_")[2])
