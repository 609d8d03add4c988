"""The ranking of a few queries: right matches have a green frame, wrong ones a red frame."""

import base64
import io
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from fedretina.report.style import Theme, new_figure
from fedretina.runs import PLACES, QUERIES, Picture, Ranking

_PITCH, _GAP = 1.13, 0.3  # in widths of a picture
_COLUMNS = (PLACES + 1) * _PITCH + _GAP
_LARGEST = (256, 256)
_PIXELS = 50_000_000

_log = logging.getLogger("fedretina.report")


def thumbnail(folder: Path, picture: Picture) -> Image.Image | None:
    """Read a picture of a run and reduce it to at most 256 x 256 pixels; None, with a warning, if that fails.

    A picture outside the run's folder is not read, because the page could publish other files.
    """
    try:
        path = (folder / picture.path).resolve()
        if not path.is_relative_to(folder.resolve()):
            raise ValueError("it lies outside of the run")
        with Image.open(path) as image:
            if image.width * image.height > _PIXELS:
                raise ValueError(f"{image.width} x {image.height} pixels; at most {_PIXELS} are allowed")
            small = image.convert("RGB")
    except Exception as error:  # Pillow has a reader for each format, and they raise errors of many types
        _log.warning("picture %s of %s left out: %s", picture.path, folder, error)
        return None
    small.thumbnail(_LARGEST)
    return small


def data_uri(image: Image.Image) -> str:
    """Encode an image as a data URI."""
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=92)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def mark(picture: Picture) -> str:
    """Name the role of a picture: query, right or wrong."""
    return {None: "query", True: "right", False: "wrong"}[picture.right]


def plot_ranking(folder: Path, rankings: Sequence[Ranking], theme: Theme) -> Figure:
    """Draw a row for each query: the query, a gap, the ten nearest pictures of the gallery."""
    shown = [(ranking.query, *ranking.gallery[:PLACES]) for ranking in rankings[:QUERIES]]
    images = [[thumbnail(folder, picture) for picture in row] for row in shown]
    pitch = max((image.height / image.width for row in images for image in row if image), default=2.0) + 0.75
    figure = new_figure(theme, 10.4, 10.4 / _COLUMNS * pitch * len(shown))
    axes = figure.add_subplot(facecolor=theme.paper)
    axes.set_axis_off()
    for top, (pictures, row) in enumerate(zip(shown, images, strict=True)):
        for place, (picture, image) in enumerate(zip(pictures, row, strict=True)):
            left = place * _PITCH + (_GAP if place else 0.0)
            _draw_picture(axes, theme, picture, image, (left, -top * pitch))
    axes.set(xlim=(-0.05, _COLUMNS), ylim=(-pitch * len(shown) + 0.25, 0.25), aspect="equal")
    return figure


def _draw_picture(
    axes: Axes, theme: Theme, picture: Picture, image: Image.Image | None, corner: tuple[float, float]
) -> None:
    left, top = corner
    height = image.height / image.width if image else 2.0
    colour = {None: theme.ink, True: theme.right, False: theme.wrong}[picture.right]
    sign = {None: "query", True: "\N{CHECK MARK}", False: "\N{MULTIPLICATION X}"}[picture.right]
    if image is not None:
        axes.imshow(np.asarray(image), extent=(left, left + 1, top - height, top), interpolation="bilinear")
    axes.add_patch(Rectangle((left, top - height), 1, height, fill=False, edgecolor=colour, linewidth=3))
    axes.text(left + 0.5, top + 0.07, sign, color=colour, fontsize=8, ha="center", va="bottom")
    words = f"id {picture.identity}\ncam {picture.camera}"
    axes.text(left + 0.5, top - height - 0.07, words, color=theme.muted, fontsize=7, ha="center", va="top")
