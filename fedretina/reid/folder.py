"""Read a re-identification data set that is laid out like Market-1501.

The layout decides, never the data set's name: Market-1501, DukeMTMC-reID, MSMT17 in Market form and any
folder of the same shape are read alike.
"""

import logging
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fedretina.errors import BadArgument
from fedretina.reid.published import Counts

TRAIN, QUERY, GALLERY = "bounding_box_train", "query", "bounding_box_test"
JUNK, DISTRACTOR = -1, 0

_NAME = re.compile(r"(-?\d+)_c(\d+)")
_SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
_log = logging.getLogger("fedretina.reid")


@dataclass(frozen=True)
class Photo:
    """One cropped image.

    Parameters
    ----------
    path : Path
        The image file.
    identity : int
        Who is in it; -1 is junk (a bad detection), 0 a distractor (somebody who is in no query).
    camera : int
        Which camera took it.
    """

    path: Path
    identity: int
    camera: int


@dataclass(frozen=True)
class Domain:
    """The photos of one place.

    Parameters
    ----------
    name : str
        What the domain is called in tables and files.
    folder : Path
        Where it lies.
    train, query, gallery : tuple of Photo
        The splits, sorted by file name. Only the gallery holds junk.
    """

    name: str
    folder: Path
    train: tuple[Photo, ...]
    query: tuple[Photo, ...]
    gallery: tuple[Photo, ...]


def read_domain(folder: Path, *, name: str | None = None, expected: Counts | None = None) -> Domain:
    """Read the three splits of a domain; what is odd but usable is logged as a warning on ``fedretina``.

    File names begin with identity and camera (``0002_c1s1_000451_03.jpg``). Other files are ignored. Junk
    (-1) is left out of the train split and the queries; distractors (0) are left out of the train split,
    unless queries name identity 0 too: then the data set counts its identities from 0, as MSMT17 does.

    Parameters
    ----------
    folder : Path
        Holds ``bounding_box_train``, ``query`` and ``bounding_box_test``.
    name : str, optional
        The domain's name; default: the folder's.
    expected : Counts, optional
        Published numbers of images (see `published_counts`), compared with what is found; a difference warns.

    Returns
    -------
    Domain
        The photos, sorted by file name.

    Raises
    ------
    BadArgument
        If the folder or a split is missing or a split holds no usable image.

    Examples
    --------
    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> for split, identity in ((TRAIN, "0001"), (QUERY, "0002"), (GALLERY, "0002")):
    ...     (root / split).mkdir()
    ...     for camera in (1, 2):
    ...         (root / split / f"{identity}_c{camera}s1_000001_00.jpg").touch()
    >>> [(photo.identity, photo.camera) for photo in read_domain(root, name="yard").query]
    [(2, 1), (2, 2)]
    """
    folder = Path(folder)
    return warn_of_oddities(assemble(folder, market_splits(folder), name=name, expected=expected))


def market_splits(folder: Path) -> dict[str, list[Photo]]:
    """Read the splits of a folder in Market-1501's layout as they lie there, junk and all; raises as `read_domain` does."""
    _require_layout(folder)
    return {split: _read_split(folder / split) for split in (TRAIN, QUERY, GALLERY)}


def assemble(
    folder: Path, splits: Mapping[str, list[Photo]], *, name: str | None = None, expected: Counts | None = None
) -> Domain:
    """Make a domain of its splits, whatever layout they were read from; raises as `read_domain` does."""
    name = name or folder.name
    train, query, gallery = splits[TRAIN], splits[QUERY], splits[GALLERY]
    if expected:
        _compare(name, (len(train), len(query), len(gallery)), expected)
    counts_from_zero = any(photo.identity == DISTRACTOR for photo in query)
    return Domain(
        name,
        folder,
        _usable(train, folder / TRAIN, without={JUNK} if counts_from_zero else {JUNK, DISTRACTOR}),
        _usable(query, folder / QUERY, without={JUNK}),
        _usable(gallery, folder / GALLERY, without=set()),
    )


def warn_of_oddities(domain: Domain) -> Domain:
    """Warn of a domain's oddities."""
    for oddity in oddities(domain):
        _log.warning("%s: %s", domain.name, oddity)
    return domain


def _require_layout(folder: Path) -> None:
    layout = f"{TRAIN}, {QUERY} and {GALLERY}"
    if not folder.is_dir():
        raise BadArgument(
            f"There is no folder {folder}{_neighbours(folder)}. Give a folder that holds {layout}, as Market-1501 does."
        )
    missing = [split for split in (TRAIN, QUERY, GALLERY) if not (folder / split).is_dir()]
    if missing:
        raise BadArgument(
            f"{folder} lacks {' and '.join(missing)}; it holds: {_listing(folder)}. "
            f"A domain's folder holds {layout}, as Market-1501 does."
        )


def _neighbours(folder: Path) -> str:
    if not folder.parent.is_dir():
        return f" ({folder.parent} does not exist either)"
    return f" ({folder.parent} holds: {_listing(folder.parent)})"


def _listing(folder: Path) -> str:
    names = sorted(path.name for path in folder.iterdir())
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return (", ".join(names[:12]) + more) or "nothing"


def _read_split(folder: Path) -> list[Photo]:
    """All photos whose names fit, sorted by name; image files whose names don't are reported once."""
    photos, misfits = [], []
    for path in sorted(folder.iterdir(), key=lambda path: path.name):
        if path.suffix.lower() not in _SUFFIXES or path.name.startswith("."):
            continue
        if fit := _NAME.match(path.name):
            photos.append(Photo(path, int(fit[1]), int(fit[2])))
        else:
            misfits.append(path.name)
    if misfits:
        message = "%s: %d image file(s) are not named IDENTITY_cCAMERA... and are left out, for example %s"
        _log.warning(message, folder, len(misfits), misfits[0])
    return photos


def _usable(photos: list[Photo], folder: Path, *, without: set[int]) -> tuple[Photo, ...]:
    kept = tuple(photo for photo in photos if photo.identity not in without)
    if not kept:
        found = f"only {len(photos)} image(s) of junk or distractors" if photos else "no image"
        raise BadArgument(
            f"{folder} holds {found}. Put JPEG or PNG files there that are named by identity and camera, "
            "for example 0002_c1s1_000451_03.jpg."
        )
    if dropped := len(photos) - len(kept):
        _log.warning("%s: %d image(s) of junk (-1) or distractors (0) are left out", folder, dropped)
    return kept


def _compare(name: str, found: tuple[int, int, int], expected: Counts) -> None:
    if found not in expected.distributed:
        _log.warning(
            "%s: found %d / %d / %d images (train / query / gallery), published are %s",
            name,
            *found,
            expected,
        )


def oddities(domain: Domain) -> Iterable[str]:
    """Say what usually betrays a broken copy."""
    seen: dict[int, set[int]] = {}
    for photo in domain.gallery:
        seen.setdefault(photo.identity, set()).add(photo.camera)
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
