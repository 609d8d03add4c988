"""What a folder holds, counted as Table 1 of the paper counts, and what is off with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fedretina.errors import BadArgument
from fedretina.reid.cuhk03 import KINDS
from fedretina.reid.dataset import layout, located
from fedretina.reid.folder import DISTRACTOR, GALLERY, JUNK, QUERY, TRAIN, Photo, assemble, oddities
from fedretina.reid.published import Counts, published_counts

SHOWN = 3
Tally = tuple[int, int]


@dataclass(frozen=True)
class Census:
    """The counts of one data set.

    Parameters
    ----------
    name, layout : str
        What it is called, and how it is laid out, and in which of the folder's own.
    train, query, gallery : (int, int)
        Images, junk and distractors included; identities, without them.
    junk, distractors, cameras : int
        In the gallery; and cameras in all.
    published : Counts or None
        What is known of the data set of that name.
    problems : tuple of str
        What is off, in words; empty if nothing is.
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
    """List the data sets at a folder: itself, or those in it, each there or one level below (see `located`).

    Raises
    ------
    BadArgument
        There is none.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise BadArgument(f"there is no folder {folder}")
    inside = sorted(path for path in folder.iterdir() if path.is_dir())
    if layout(folder) or (located(folder) and {path.name for path in inside} >= set(KINDS)):
        return [folder]
    found = [path for path in inside if located(path)]
    if not found:
        raise BadArgument(
            f"{folder} holds no data set: looked there and up to two levels below for {TRAIN} (Market-1501's layout), "
            f"list_train.txt (MSMT17), images_detected (CUHK03)"
        )
    return found


def census(folder: Path, *, name: str | None = None) -> Census:
    """Count what a data set's folder holds; no image is decoded.

    Parameters
    ----------
    folder : Path
        The data set, or the folder around it (see `located`).
    name : str, optional
        By which published counts are found; default: the folder's.

    Raises
    ------
    BadArgument
        It is no data set, or cannot be used at all.
    """
    folder, name = Path(folder), name or Path(folder).name
    place = located(folder)
    found = layout(place) if place else None
    if place is None or found is None:
        raise BadArgument(f"{folder} is no data set in a layout that is known here")
    splits = found[1](place)
    published = published_counts(name)
    photos = [photo for split in splits.values() for photo in split]
    gallery = [photo.identity for photo in splits[GALLERY]]
    from_zero = any(photo.identity == DISTRACTOR for photo in splits[QUERY])
    problems = [*_missing(photos), *_differing(splits, published), *oddities(assemble(place, splits, name=name))]
    return Census(
        name,
        found[0] if place == folder else f"{found[0]} in {place.name}",
        train=_tally(splits[TRAIN], from_zero),
        query=_tally(splits[QUERY], from_zero),
        gallery=_tally(splits[GALLERY], from_zero),
        junk=gallery.count(JUNK),
        distractors=0 if from_zero else gallery.count(DISTRACTOR),
        cameras=len({photo.camera for photo in photos}),
        published=published,
        problems=tuple(problems),
    )


def _tally(photos: Sequence[Photo], from_zero: bool) -> Tally:
    nobody = {JUNK} if from_zero else {JUNK, DISTRACTOR}
    return len(photos), len({photo.identity for photo in photos} - nobody)


def _missing(photos: Sequence[Photo]) -> list[str]:
    """Name files that are listed but not there, or empty."""
    there = {photo.path: photo.path.is_file() for photo in photos}
    gone = [path for path, found in there.items() if not found]
    empty = [path for path, found in there.items() if found and not path.stat().st_size]
    problems = []
    for paths, what in ((gone, "are listed but not there"), (empty, "are empty")):
        if paths:
            some = ", ".join(str(path) for path in paths[:SHOWN])
            problems.append(f"{len(paths)} of {len(photos)} images {what}, for example {some}")
    return problems


def _differing(splits: dict[str, list[Photo]], published: Counts | None) -> list[str]:
    counts = len(splits[TRAIN]), len(splits[QUERY]), len(splits[GALLERY])
    if published is None or counts in published.distributed:
        return []
    shown = " / ".join(f"{count:,}" for count in counts)
    return [f"{shown} images in train / query / gallery, published are {published}"]
