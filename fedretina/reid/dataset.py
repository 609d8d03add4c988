"""Read a data set from disk. The layout of its folder is recognised; the name does not matter."""

from pathlib import Path

from fedretina.errors import BadArgument, translate_errors
from fedretina.reid.cuhk03 import KINDS, is_cuhk03, read_cuhk03
from fedretina.reid.folder import TRAIN, Domain
from fedretina.reid.market import Reader, read_market, read_with, visible_folders
from fedretina.reid.msmt17 import is_msmt17, read_msmt17
from fedretina.reid.published import Counts

NESTED = 2
"""Levels of folders that are opened, if each has exactly one folder and nothing else."""


def layout(folder: Path) -> tuple[str, Reader] | None:
    """Recognise the layout of a folder: its name, and the function that reads it; None if the layout is unknown.

    Examples
    --------
    >>> layout(Path("/nowhere")) is None
    True
    """
    if (folder / TRAIN).is_dir():
        return "Market-1501", read_market
    if is_msmt17(folder):
        return "MSMT17", read_msmt17
    if is_cuhk03(folder):
        return "CUHK03", read_cuhk03
    return None


def located(folder: Path) -> Path | None:
    """Find the folder of a data set: the given folder, or one level below.

    One level below there must be exactly one data set, as in ``market1501/Market-1501-v15.09.15``. Of CUHK03's ``detected``
    and ``labeled`` boxes, ``detected`` is chosen. A folder with only one other folder in it counts as that folder: some
    programs unpack archives so. Folders that systems create, such as ``__MACOSX``, are ignored.

    Returns
    -------
    Path or None
        The folder; None if there is no data set, or more than one.

    Examples
    --------
    >>> located(Path("/nowhere")) is None
    True
    """
    return _located(folder, levels=NESTED)


def _located(folder: Path, *, levels: int) -> Path | None:
    if layout(folder):
        return folder
    found = candidates(folder)
    kinds = [path for path in found if path.name in KINDS]
    if len(found) == 1 or (found and found == kinds):
        return found[0]  # "detected" comes before "labeled"
    inside = visible_folders(folder) if folder.is_dir() else []
    return _located(inside[0], levels=levels - 1) if levels and len(inside) == 1 and not found else None


def candidates(folder: Path) -> list[Path]:
    """List the data sets directly in a folder."""
    return [path for path in visible_folders(folder) if layout(path)] if folder.is_dir() else []


def read_dataset(folder: Path, *, name: str | None = None, expected: Counts | None = None) -> Domain:
    """Read the three splits of a data set in a known layout: Market-1501's, MSMT17's lists, or CUHK03's.

    Parameters
    ----------
    folder : Path
        The data set's folder, or the folder around it, see `located`.
    name, expected
        As for `read_domain`, which describes the warnings.

    Returns
    -------
    Domain
        The photos.

    Raises
    ------
    BadArgument
        As for `read_domain`, or a list names a missing file.

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
    folder = Path(folder)
    with translate_errors(BadArgument, f"{folder} cannot be read", "restore it, or give another folder"):
        place = located(folder) or folder
        found = layout(place)
    read = found[1] if found else read_market  # whose error names what a folder must hold
    return read_with(read, place, name=name or folder.name, expected=expected)
