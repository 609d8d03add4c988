"""Count the images and identities of a data set as in Table 1 of the paper, and list its problems."""

import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fedretina.errors import BadArgument, translate_errors
from fedretina.reid.cuhk03 import KINDS
from fedretina.reid.dataset import candidates, layout, located
from fedretina.reid.folder import (
    DISTRACTOR,
    GALLERY,
    JUNK,
    QUERY,
    TRAIN,
    Photo,
    assemble,
    counts_from_zero,
    differing,
    problems_of,
)
from fedretina.reid.images import Progress, undecodable
from fedretina.reid.market import visible_folders
from fedretina.reid.published import Counts, published_counts

SHOWN = 3
Tally = tuple[int, int]


@dataclass(frozen=True)
class Census:
    """The counts of one data set.

    Parameters
    ----------
    name, layout : str
        The data set's name and its layout, with the inner folder if it is in one.
    train, query, gallery : (int, int)
        Number of images, with junk and distractors, and number of identities, without them.
    junk, distractors : int
        Numbers of such images in the gallery.
    cameras : int
        Number of cameras.
    published : Counts or None
        Published numbers for this name.
    problems : tuple of str
        Descriptions of the problems; empty if there are none.
    """

    name: str
    layout: str
    train: Tally
    query: Tally
    gallery: Tally
    junk: int
    distractors: int
    cameras: int
    published: Counts | None
    problems: tuple[str, ...]

    @property
    def test(self) -> Tally:
        """Images and identities of the test split: queries and gallery."""
        return self.query[0] + self.gallery[0], max(self.query[1], self.gallery[1])

    @property
    def all(self) -> Tally:
        """Images and identities of train and test."""
        return self.train[0] + self.test[0], self.train[1] + self.test[1]


def find_datasets(folder: Path) -> list[Path]:
    """List the data sets of a folder: the folder itself, or those in it (see `located`).

    Raises
    ------
    BadArgument
        There is none, or the folder cannot be read.
    """
    folder = Path(folder)
    with translate_errors(BadArgument, f"{folder} cannot be read", "give another folder"):
        if not folder.is_dir():
            raise BadArgument(f"there is no folder {folder}: give a data set's folder, or one around several")
        inside = visible_folders(folder)
        if layout(folder) or (located(folder) and {path.name for path in inside} >= set(KINDS)):
            return [folder]
        found = [path for path in inside if located(path)]
    if not found:
        raise BadArgument(
            f"{folder} holds no data set: looked there and up to two levels below for {TRAIN} (Market-1501's layout), "
            f"list_train.txt (MSMT17), images_detected (CUHK03)"
        )
    return found


def ambiguous(folder: Path) -> list[str]:
    """Describe the folders that are left out because they have several data sets."""
    with translate_errors(BadArgument, f"{folder} cannot be read", "give another folder"):
        several = {path.name: candidates(path) for path in visible_folders(folder) if not located(path)}
    return [
        f"{name}: holds several data sets ({', '.join(path.name for path in found)}): check each of them, or keep one"
        for name, found in several.items()
        if found
    ]


def census(folder: Path, *, name: str | None = None, open_images: bool = False, progress: Progress | None = None) -> Census:
    """Count the images and identities in a data set's folder, and check it.

    Parameters
    ----------
    folder : Path
        The data set, or the folder around it (see `located`).
    name : str, optional
        The name by which published numbers are found. Default: the folder's name.
    open_images : bool, default False
        Whether to decode every image, which finds truncated ones.
    progress : callable, optional
        Called with (done, total) from time to time while images are decoded.

    Raises
    ------
    BadArgument
        The folder is not a data set, or cannot be used.
    """
    folder, name = Path(folder), name or Path(folder).name
    with translate_errors(BadArgument, f"{folder} cannot be read", "restore it, or give another folder"):
        place = located(folder)
        found = layout(place) if place else None
        if place is None or found is None:
            raise BadArgument(f"{folder} is no data set in a layout that is known here")
        contents = found[1](place)
        photos = [photo for split in contents.splits.values() for photo in split]
        problems = _missing(photos)
    published = published_counts(name)
    problems += [*differing(contents, published), *problems_of(contents, assemble(place, contents, name=name))]
    if open_images:
        problems += _undecodable(photos, progress)
    gallery = [photo.identity for photo in contents.splits[GALLERY]]
    from_zero = counts_from_zero(contents)
    return Census(
        name,
        found[0] if place == folder else f"{found[0]} in {place.name}",
        train=_tally(contents.splits[TRAIN], from_zero),
        query=_tally(contents.splits[QUERY], from_zero),
        gallery=_tally(contents.splits[GALLERY], from_zero),
        junk=gallery.count(JUNK),
        distractors=0 if from_zero else gallery.count(DISTRACTOR),
        cameras=len({photo.camera for photo in photos}),
        published=published,
        problems=tuple(problems),
    )


def _tally(photos: Sequence[Photo], from_zero: bool) -> Tally:
    others = {JUNK} if from_zero else {JUNK, DISTRACTOR}
    return len(photos), len({photo.identity for photo in photos} - others)


def _missing(photos: Sequence[Photo]) -> list[str]:
    """List files that are missing or empty."""
    sizes = {photo.path: _size(photo.path) for photo in photos}
    gone = [path for path, size in sizes.items() if size is None]
    empty = [path for path, size in sizes.items() if size == 0]
    return [*_named(gone, photos, "are listed but not there"), *_named(empty, photos, "are empty")]


def _undecodable(photos: Sequence[Photo], progress: Progress | None) -> list[str]:
    """List files that exist, but cannot be decoded."""
    present = [photo for photo in photos if _size(photo.path)]
    failed = undecodable(present, progress=progress)
    return _named([f"{path} ({reason})" for path, reason in failed.items()], photos, "cannot be decoded")


def _named(paths: Sequence[object], photos: Sequence[Photo], what: str) -> list[str]:
    some = ", ".join(str(path) for path in paths[:SHOWN])
    return [f"{len(paths)} of {len(photos)} images {what}, for example {some}"] if paths else []


def _size(path: Path) -> int | None:
    """Give a file's size; None if there is no file, or a name that no file can have."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None
