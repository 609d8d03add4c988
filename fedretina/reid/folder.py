"""A re-identification data set: photos in three splits, and checks for incomplete copies."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fedretina.errors import BadArgument
from fedretina.reid.published import Counts

TRAIN, QUERY, GALLERY = "bounding_box_train", "query", "bounding_box_test"
JUNK, DISTRACTOR = -1, 0


@dataclass(frozen=True)
class Photo:
    """One cropped image.

    Parameters
    ----------
    path : Path
        The image file.
    identity : int
        The person's number. -1 is junk (a bad detection), 0 is a distractor (a person who is in no query).
    camera : int
        The camera's number.
    """

    path: Path
    identity: int
    camera: int


@dataclass(frozen=True)
class Domain:
    """The photos of one domain.

    Parameters
    ----------
    name : str
        The domain's name in tables and files.
    folder : Path
        The domain's folder.
    train, query, gallery : tuple of Photo
        The splits, sorted by file name. Only the gallery has junk.
    """

    name: str
    folder: Path
    train: tuple[Photo, ...]
    query: tuple[Photo, ...]
    gallery: tuple[Photo, ...]


@dataclass(frozen=True)
class Contents:
    """The contents of a data set's folder as stored, with junk and distractors.

    Parameters
    ----------
    splits : mapping of str to list of Photo
        The photos by split: `TRAIN`, `QUERY`, `GALLERY`.
    places : mapping of str to Path
        The folder of the photos by split, or the list that names them.
    problems : tuple of str, default ()
        Descriptions of the files that were left out.
    """

    splits: Mapping[str, list[Photo]]
    places: Mapping[str, Path]
    problems: tuple[str, ...] = ()


def assemble(folder: Path, contents: Contents, *, name: str | None = None) -> Domain:
    """Make a domain of a folder's contents, for any layout.

    Raises
    ------
    BadArgument
        A split has no usable photo.
    """
    return Domain(name or folder.name, folder, *(_usable(contents, split) for split in (TRAIN, QUERY, GALLERY)))


def problems_of(contents: Contents, domain: Domain) -> Iterator[str]:
    """List the problems of a usable data set: photos that were left out, and signs of a damaged copy."""
    yield from contents.problems
    for split, usable in ((TRAIN, domain.train), (QUERY, domain.query)):
        if left_out := len(contents.splits[split]) - len(usable):
            yield f"{contents.places[split].name}: {left_out} images of junk (-1) or distractors (0) are left out"
    yield from oddities(domain)


def differing(contents: Contents, published: Counts | None) -> Iterator[str]:
    """Describe the difference if the numbers of images are not the published ones."""
    counts = tuple(len(contents.splits[split]) for split in (TRAIN, QUERY, GALLERY))
    if published is not None and counts not in published.distributed:
        shown = " / ".join(f"{count:,}" for count in counts)
        yield f"found {shown} images (train / query / gallery), published are {published}"


def counts_from_zero(contents: Contents) -> bool:
    """Tell whether 0 is an identity, as in MSMT17, and not a distractor: then it is among the queries."""
    return any(photo.identity == DISTRACTOR for photo in contents.splits[QUERY])


def _usable(contents: Contents, split: str) -> tuple[Photo, ...]:
    photos, place = contents.splits[split], contents.places[split]
    without = {TRAIN: {JUNK, DISTRACTOR}, QUERY: {JUNK}, GALLERY: set()}[split]
    if counts_from_zero(contents):
        without.discard(DISTRACTOR)
    usable = tuple(photo for photo in photos if photo.identity not in without)
    if usable:
        return usable
    if not place.is_dir():
        raise BadArgument(f"{place} names no image of the {split} split: get the data set's own file again")
    found = f"only {len(photos)} image(s) of junk or distractors" if photos else "no image"
    reasons = "".join(f" {problem}." for problem in contents.problems if problem.startswith(place.name))
    raise BadArgument(
        f"{place} holds {found}.{reasons} Put image files there that are named by identity and camera, "
        "for example 0002_c1s1_000451_03.jpg."
    )


def oddities(domain: Domain) -> Iterator[str]:
    """List the usual signs of a damaged copy."""
    seen = _cameras_by_identity(domain.gallery)
    alone = sum(not seen.get(photo.identity, set()) - {photo.camera} for photo in domain.query)
    if alone:
        yield f"{alone} of {len(domain.query)} queries have no match by another camera and count for nothing"
    train = Counter(photo.identity for photo in domain.train)
    if shared := train.keys() & {photo.identity for photo in domain.query}:
        yield (
            f"{len(shared)} identities are in the train split and among the queries; unless the splits are "
            "numbered separately, results will be too good"
        )
    pairs = Counter(identity for identity, _ in {(photo.identity, photo.camera) for photo in domain.train})
    single, one_camera = (sum(count == 1 for count in counts.values()) for counts in (train, pairs))
    if one_camera:
        yield (
            f"of {len(train)} train identities {single} have a single image and {one_camera} a single "
            "camera; they teach little"
        )


def require_matches(domain: str, query: Sequence[Photo], gallery: Sequence[Photo]) -> None:
    """Refuse a test split in which no query has a match by another camera."""
    seen = _cameras_by_identity(gallery)
    if not any(seen.get(photo.identity, set()) - {photo.camera} for photo in query):
        cameras = len({photo.camera for photo in (*query, *gallery)})
        raise BadArgument(
            f"None of {len(query)} queries of {domain!r} has a photo of its identity by another camera in the gallery "
            f"({cameras} camera(s) in both): check the splits, and identities and cameras in the file names."
        )


def _cameras_by_identity(photos: Sequence[Photo]) -> dict[int, set[int]]:
    seen: dict[int, set[int]] = {}
    for photo in photos:
        seen.setdefault(photo.identity, set()).add(photo.camera)
    return seen
