"""Decode photos into one array, and cache it in a file that later calls map into memory."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from fedretina.atomic import replacing
from fedretina.errors import BadArgument
from fedretina.reid.folder import Photo

Progress = Callable[[int, int], None]

_REPORT_EVERY = 256


def load_images(
    photos: Sequence[Photo],
    *,
    height: int,
    width: int,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> NDArray[np.uint8]:
    """Decode photos to RGB and resize them (bilinear, antialiased).

    With a cache, the result is stored in a file. Its name is a digest of the photos' names, sizes and modification times,
    and of the size of the result. The next call, by any process, maps that file and decodes nothing.

    Parameters
    ----------
    photos : sequence of Photo
        The photos.
    height, width : int
        Size of the result in pixels.
    cache : Path, optional
        Folder for decoded images. Default: they are not stored.
    progress : callable, optional
        Called with (done, total) from time to time while decoding.

    Returns
    -------
    ndarray of uint8, shape (N, 3, height, width)
        The images, read-only; memory-mapped if cached. Copy the images that you need, by ``images[index]``.

    Raises
    ------
    BadArgument
        A size is not positive; files are missing or damaged (all are tried, and the message names the first ones); or the
        cache cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "0001_c1.png"
    >>> Image.new("L", (20, 40), color=7).save(path)
    >>> load_images([Photo(path, 1, 1)], height=4, width=2)[0, :, 0, 0]
    array([7, 7, 7], dtype=uint8)
    """
    if height < 1 or width < 1:
        raise BadArgument(f"Images of {height} x {width} pixels are impossible: give a positive height and width.")
    shape = (len(photos), 3, height, width)
    if cache is None or not photos:
        images = np.empty(shape, np.uint8)
        for index, image in enumerate(_decode_all(photos, height, width, progress)):
            images[index] = image
        images.flags.writeable = False
        return images
    file = Path(cache) / f"{_key(photos, height, width)}.npy"
    stored = _open(file, shape)
    if stored is not None:
        return stored
    with _replacing(file) as stream:
        # A stream raises an error on a full disk; writing to a memory mapping would kill the process.
        np.lib.format.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": shape})
        for image in _decode_all(photos, height, width, progress):
            stream.write(image.tobytes())
    written = _open(file, shape)
    if written is None:
        raise BadArgument(f"{file} cannot be read back: the cache's folder needs a disk that keeps what is written.")
    return written


def _key(photos: Sequence[Photo], height: int, width: int) -> str:
    """Identify the decoded images, without absolute paths, so that a moved data set keeps its cache."""
    digest = hashlib.sha256(f"{height}x{width}".encode())
    for photo in photos:
        try:
            stat = photo.path.stat()
        except (OSError, ValueError) as error:  # ValueError: a name with a zero byte, from a list
            reason = getattr(error, "strerror", None) or error
            raise BadArgument(f"{photo.path} cannot be read ({reason}): restore it or its folder.") from error
        digest.update(f"\n{'/'.join(photo.path.parts[-3:])} {stat.st_size} {stat.st_mtime_ns}".encode())
    return digest.hexdigest()


def _open(file: Path, shape: tuple[int, ...]) -> NDArray[np.uint8] | None:
    """Map a cached file; None if it does not exist or is damaged, so that it is written again."""
    try:
        images = np.lib.format.open_memmap(file, mode="r")
    except Exception:  # whatever a cache's damage makes numpy raise, the remedy is the same
        return None
    return np.asarray(images) if images.shape == shape and images.dtype == np.uint8 else None


@contextmanager
def _replacing(file: Path) -> Iterator[IO[bytes]]:
    """Write a temporary file, then rename it: other processes see the complete file or none."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as temporary, temporary.open("wb") as stream:
            yield stream
    except OSError as error:
        raise BadArgument(
            f"Decoded images cannot be kept in {file.parent} ({error}): free space there or choose another folder."
        ) from error


def _decode_all(photos: Sequence[Photo], height: int, width: int, progress: Progress | None) -> Iterator[NDArray[np.uint8]]:
    """Yield the decoded images, (3, height, width) each; raise at the end if an image could not be decoded."""
    failures: list[str] = []
    for done, photo in enumerate(photos, start=1):
        try:
            yield _decode(photo.path, height, width)
        except _Undecodable as error:
            failures.append(f"{photo.path} ({error})")
        if progress and (done % _REPORT_EVERY == 0 or done == len(photos)):
            progress(done, len(photos))
    if failures:
        raise BadArgument(
            f"{len(failures)} of {len(photos)} images cannot be decoded: {'; '.join(failures[:3])}"
            f"{'; ...' if len(failures) > 3 else ''}. Restore them from the original data or delete them."
        )


def undecodable(photos: Sequence[Photo], *, progress: Progress | None = None) -> dict[Path, str]:
    """Decode photos, and list those that cannot be decoded, with the reasons.

    Parameters
    ----------
    photos : sequence of Photo
        The photos; all are tried.
    progress : callable, optional
        As for `load_images`.
    """
    failed = {}
    for done, photo in enumerate(photos, start=1):
        try:
            _decode(photo.path, 1, 1)
        except _Undecodable as error:
            failed[photo.path] = str(error)
        if progress and (done % _REPORT_EVERY == 0 or done == len(photos)):
            progress(done, len(photos))
    return failed


class _Undecodable(Exception):
    """The reason why a file cannot be decoded."""


def _decode(path: Path, height: int, width: int) -> NDArray[np.uint8]:
    try:
        with Image.open(path) as image:
            # For JPEG only: decode at a fraction of the size, if it is still twice the wanted size.
            image.draft("RGB", (2 * width, 2 * height))
            pixels = _rgb(image).resize((width, height), Image.Resampling.BILINEAR)
            return np.asarray(pixels).transpose(2, 0, 1)
    except Exception as error:  # Pillow's readers of different formats raise different exceptions
        raise _Undecodable(_reason(path, error)) from error


def _reason(path: Path, error: Exception) -> str:
    """Describe briefly why a file cannot be decoded: Pillow's message, without the path."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, UnidentifiedImageError):
        return "empty file" if not path.stat().st_size else "no image, or of an unknown kind"
    return f"{error}" if isinstance(error, OSError | Image.DecompressionBombError) else f"damaged: {type(error).__name__}"


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits: convert() would clip the values instead of scaling them
        return Image.fromarray((np.asarray(image) // 256).astype(np.uint8)).convert("RGB")
    if image.mode == "P":  # first to RGBA: otherwise Pillow warns about transparent palettes
        image = image.convert("RGBA")
    return image.convert("RGB")
