"""Read a data set as it lies on disk: the layout decides, never the name."""

from collections.abc import Callable
from pathlib import Path

from fedretina.reid.cuhk03 import KINDS, cuhk03_splits, is_cuhk03
from fedretina.reid.folder import TRAIN, Domain, Photo, assemble, market_splits, warn_of_oddities
from fedretina.reid.msmt17 import is_msmt17, msmt17_splits
from fedretina.reid.published import Counts

Reader = Callable[[Path], dict[str, list[Photo]]]


def layout(folder: Path) -> tuple[str, Reader] | None:
    """Name the layout of a folder and the function that reads its splits; None if it is no data set that we know.

    Examples
    --------
    >>> layout(Path("/nowhere")) is None
    True
    """
    if (folder / TRAIN).is_dir():
        return "Market-1501", market_splits
    if is_msmt17(folder):
        return "MSMT17", msmt17_splits
    if is_cuhk03(folder):
        return "CUHK03", cuhk03_splits
    return None


def located(folder: Path) -> Path | None:
    """Find where a data set lies: in the folder itself, or one level below.

    There it must be the only one, as in ``market1501/Market-1501-v15.09.15``; of CUHK03's ``detected`` and ``labeled``
    boxes, as the new protocol's are distributed, it is ``detected``.

    Returns
    -------
    Path or None
        None if there is none, or more than one.

    Examples
    --------
    >>> located(Path("/nowhere")) is None
    True
    """
    if layout(folder):
        return folder
    found = sorted(path for path in folder.iterdir() if path.is_dir() and layout(path)) if folder.is_dir() else []
    kinds = [path for path in found if path.name in KINDS]
    if len(found) == 1 or (found and found == kinds):
        return found[0]  # "detected" stands before "labeled"
    return None


def read_dataset(folder: Path, *, name: str | None = None, expected: Counts | None = None) -> Domain:
    """Read the three splits of a data set in any layout that we know: Market-1501's, MSMT17's lists, CUHK03's.

    Parameters
    ----------
    folder : Path
        Where it lies, or the folder around it, see `located`.
    name, expected
        As for `read_domain`, which says what is warned of.

    Returns
    -------
    Domain
        The photos.

    Raises
    ------
    BadArgument
        As `read_domain` raises, and where a list names what is not there.

    Examples
    --------
    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> for part, line in (("train", "0000/0000_000_01_a.jpg 0"), ("val", ""), ("query", "0001/0001_000_02_b.jpg 1"),
    ...                    ("gallery", "0001/0001_001_05_c.jpg 1")):
    ...     written = (root / f"list_{part}.txt").write_text(line)
    >>> (root / "train").mkdir(), (root / "test").mkdir()
    (None, None)
    >>> [(photo.identity, photo.camera) for photo in read_dataset(root, name="msmt17").query]
    [(1, 2)]
    """
    place = located(Path(folder)) or Path(folder)
    found = layout(place)
    read = found[1] if found else market_splits  # whose error names what a folder must hold
    return warn_of_oddities(assemble(place, read(place), name=name or Path(folder).name, expected=expected))
