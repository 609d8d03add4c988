"""Read a re-identification data set in the layout of Market-1501.

Market-1501, DukeMTMC-reID, MSMT17 in this layout, and any other folder in this layout are read in the same way.
"""

import logging
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path, PurePath

from fedretina.errors import BadArgument, translate_errors
from fedretina.reid.folder import GALLERY, QUERY, TRAIN, Contents, Domain, Photo, assemble, differing, problems_of
from fedretina.reid.published import Counts

SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
"""The suffixes of image files, in upper or lower case."""
NAMED = re.compile(r"(-0*1|\d{1,9})_[cC](\d{1,9})(?!\d)", re.ASCII)
"""The beginning of a photo's name: identity and camera."""
CLUTTER = frozenset({"__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+found"})
"""Folders that operating systems create, in lower case."""

Reader = Callable[[Path], Contents]
_log = logging.getLogger("fedretina.reid")


def read_domain(folder: Path, *, name: str | None = None, expected: Counts | None = None) -> Domain:
    """Read the three splits of a domain. Problems of a usable domain are logged as warnings on ``fedretina.reid``.

    File names begin with identity and camera (``0002_c1s1_000451_03.jpg``, also ``0002_C1_...``) and end in one of
    `SUFFIXES`. Image files with other names are left out, with a warning; so are folders in a split. Junk
    (-1) is left out of the train split and the queries. Distractors (0) are left out of the train split, except if identity
    0 is among the queries: then the data set counts its identities from 0, as MSMT17 does.

    Parameters
    ----------
    folder : Path
        The folder, with ``bounding_box_train``, ``query`` and ``bounding_box_test``.
    name : str, optional
        The domain's name. Default: the folder's name.
    expected : Counts, optional
        Published numbers of images, see `published_counts`. A difference is logged.

    Returns
    -------
    Domain
        The photos, sorted by file name.

    Raises
    ------
    BadArgument
        The folder or a split is missing, or a split has no usable image.

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
    return read_with(read_market, folder, name=name or folder.name, expected=expected)


def read_with(read: Reader, place: Path, *, name: str, expected: Counts | None) -> Domain:
    """Read a data set with the reader of its layout, and log its problems; it raises the same errors as `read_domain`."""
    with translate_errors(BadArgument, f"{place} cannot be read", "restore it, or give another folder"):
        contents = read(place)
        domain = assemble(place, contents, name=name)
    for problem in (*differing(contents, expected), *problems_of(contents, domain)):
        _log.warning("%s: %s", name, problem)
    return domain


def read_market(folder: Path) -> Contents:
    """Read the splits of a folder in Market-1501's layout, with junk; it raises the same errors as `read_domain`."""
    _require_layout(folder)
    places = {split: folder / split for split in (TRAIN, QUERY, GALLERY)}
    listings = {split: _Listing(place) for split, place in places.items()}
    problems = [problem for listing in listings.values() for problem in listing.problems()]
    return Contents({split: listing.photos for split, listing in listings.items()}, places, tuple(problems))


def is_clutter(name: str) -> bool:
    """Tell whether an operating system created a file or folder.

    Examples
    --------
    >>> is_clutter("__MACOSX"), is_clutter("._0002_c1.jpg"), is_clutter("query")
    (True, True, False)
    """
    return name.startswith(".") or name.lower() in CLUTTER


def visible_folders(folder: Path) -> list[Path]:
    """List the folders in a folder by name, without those that operating systems create."""
    return sorted(path for path in folder.iterdir() if not is_clutter(path.name) and path.is_dir())


class _Listing:
    """The photos in one split's folder, and the other files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.photos: list[Photo] = []
        self.folders: list[str] = []
        self.missing: list[str] = []
        self.misnamed: list[str] = []
        self.unread: list[str] = []
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if not is_clutter(entry.name):
                    self._add(entry)

    def _add(self, entry: "os.DirEntry[str]") -> None:
        is_image, named = PurePath(entry.name).suffix.lower() in SUFFIXES, NAMED.match(entry.name)
        if entry.is_dir():
            self.folders.append(entry.name)
        elif not is_image:
            if named:
                self.unread.append(entry.name)
        elif not entry.is_file():
            self.missing.append(entry.name)
        elif named:
            self.photos.append(Photo(self.folder / entry.name, int(named[1]), int(named[2])))
        else:
            self.misnamed.append(entry.name)

    def problems(self) -> Iterator[str]:
        """Say what was left out, and what is there twice."""
        stems = Counter(photo.path.stem for photo in self.photos)
        kinds = (
            (self.misnamed, "image file(s) are not named IDENTITY_cCAMERA... and are left out", "rename or remove them"),
            (self.unread, "file(s) named like photos are left out, for they are no image", f"allowed: {' '.join(SUFFIXES)}"),
            (self.folders, "folder(s) are not searched", f"put photos directly into {self.folder.name}"),
            (self.missing, "image file(s) are links to nothing or no files, and are left out", "restore or remove them"),
            (
                [name for name, count in stems.items() if count > 1],
                "photo(s) are there in several formats",
                "keep one of each",
            ),
        )
        for names, what, remedy in kinds:
            if names:
                yield f"{self.folder.name}: {len(names)} {what}, for example {names[0]}: {remedy}"


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
    names = sorted(path.name for path in folder.iterdir() if not is_clutter(path.name))
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return (", ".join(names[:12]) + more) or "nothing"
