"""Read MSMT17 as it is distributed: lists of files with identities (Wei et al., CVPR 2018)."""

import re
from collections import Counter
from pathlib import Path

from fedretina.errors import BadArgument
from fedretina.reid.folder import GALLERY, QUERY, TRAIN, Contents, Photo
from fedretina.reid.text import file_name, read_text

LISTS = {TRAIN: ("list_train.txt", "list_val.txt"), QUERY: ("list_query.txt",), GALLERY: ("list_gallery.txt",)}
FOLDERS = {"train": ("train", "mask_train_v2"), "test": ("test", "mask_test_v2")}
TRAIN_OFFSET = 100_000
"""Added to train identities: the lists number train and test from 0 each, but these are different people."""

_NUMBER = re.compile(r"\d{1,5}", re.ASCII)


def is_msmt17(folder: Path) -> bool:
    """Tell whether a folder has MSMT17's lists."""
    return (folder / "list_train.txt").is_file() and (folder / "list_query.txt").is_file()


def read_msmt17(folder: Path) -> Contents:
    """Read the splits from the lists. The validation list belongs to the train split, as in Table 1.

    The lists may come from Windows, with backslashes, a byte order mark and its line ends.

    Parameters
    ----------
    folder : Path
        Holds ``list_train.txt``, ``list_val.txt``, ``list_query.txt``, ``list_gallery.txt`` and the folders ``train`` and
        ``test`` (of the second version: ``mask_train_v2`` and ``mask_test_v2``).

    Returns
    -------
    Contents
        The photos by split. Identities are the lists'; those of the train split are increased by 100,000.

    Raises
    ------
    BadArgument
        A list or an image folder is missing, or a line is not ``path identity``.
    """
    images = {part: _images(folder, part) for part in FOLDERS}
    splits, problems = dict[str, list[Photo]](), list[str]()
    for split, names in LISTS.items():
        part, offset = (images["train"], TRAIN_OFFSET) if split == TRAIN else (images["test"], 0)
        splits[split] = [photo for name in names for photo in _read(folder / name, part, offset)]
        if twice := [path for path, count in Counter(photo.path for photo in splits[split]).items() if count > 1]:
            problems.append(f"{names[0]}: {len(twice)} images are listed twice, for example {twice[0]}")
    return Contents(splits, {split: folder / names[0] for split, names in LISTS.items()}, tuple(problems))


def _images(folder: Path, part: str) -> Path:
    found = [folder / name for name in FOLDERS[part] if (folder / name).is_dir()]
    if not found:
        raise BadArgument(f"{folder} has MSMT17's lists, but no folder {' or '.join(FOLDERS[part])} with their images")
    return found[0]


def _read(file: Path, images: Path, offset: int) -> list[Photo]:
    if not file.is_file():
        raise BadArgument(f"{file.parent} lacks MSMT17's list {file.name}: restore it from the data set's archive")
    photos = []
    for number, line in enumerate(read_text(file).splitlines(), start=1):
        if line.strip():
            try:
                photos.append(_photo(line, images, offset))
            except (ValueError, IndexError):
                raise BadArgument(
                    f"{file}, line {number}: {line.strip()!r:.120} is not 'PATH IDENTITY' with MSMT17's file names, such as "
                    f"'0000/0000_000_01_0303morning_0015_0.jpg 0', and an identity below {TRAIN_OFFSET:,}: correct that line"
                ) from None
    return photos


def _photo(line: str, images: Path, offset: int) -> Photo:
    """Read ``0000/0000_000_01_0303morning_0015_0.jpg 0``: the camera is the third part of the name."""
    path, identity = line.rsplit(maxsplit=1)
    camera = file_name(path).split("_")[2]
    if not (_NUMBER.fullmatch(identity) and _NUMBER.fullmatch(camera)):
        raise ValueError(line)
    return Photo(images / path.strip().replace("\\", "/"), int(identity) + offset, int(camera))
