"""Read a data set as it lies on disk: the layout decides, never the name."""

from collections.abc import Callable
from pathlib import Path

from fedretina.reid.cuhk03 import cuhk03_splits, is_cuhk03
from fedretina.reid.folder import TRAIN, Domain, Photo, assemble, market_splits, told
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


def read_dataset(folder: Path, *, name: str | None = None, expected: Counts | None = None) -> Domain:
    """Read the three splits of a data set in any layout that we know: Market-1501's, MSMT17's lists, CUHK03's.

    Parameters
    ----------
    folder : Path
        Where it lies.
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
    found = layout(Path(folder))
    read = found[1] if found else market_splits  # whose error names what a folder must hold
    return told(assemble(Path(folder), read(Path(folder)), name=name, expected=expected))
