"""The ranking of a few queries, as re-ID people know it: right matches framed green, wrong ones red."""

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
from fedretina.runs import Ranking, Shot

QUERIES, PLACES = 6, 10
_PITCH, _GAP = 1.13, 0.3  # in widths of a picture
_COLUMNS = (PLACES + 1) * _PITCH + _GAP
_LARGEST = (256, 256)
_PIXELS = 50_000_000

_log = logging.getLogger(__name__)


def thumbnail(folder: Path, shot: Shot) -> Image.Image | None:
    """Read a picture of a run, at most 256 x 256; None, with a warning in the log, where that cannot be.

    Pictures outside the run's folder are not read: a page must not carry off other files.
    """
    try:
        path = (folder / shot.path).resolve()
        if not path.is_relative_to(folder.resolve()):
            raise ValueError("it lies outside of the run")
        with Image.open(path) as picture:
            if picture.width * picture.height > _PIXELS:
                raise ValueError(f"{picture.width} x {picture.height} pixels are too many")
            small = picture.convert("RGB")
    except Exception as error:  # Pillow has a reader for each format, and each raises what it likes
        _log.warning("picture %s of %s left out: %s", shot.path, folder, error)
        return None
    small.thumbnail(_LARGEST)
    return small


def data_uri(picture: Image.Image) -> str:
    """Encode a picture as a data URI."""
    buffer = io.BytesIO()
    picture.save(buffer, format="JPEG", quality=92)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def mark(shot: Shot) -> str:
    """Name what a picture is: query, right or wrong."""
    return {None: "query", True: "right", False: "wrong"}[shot.right]


def plot_ranking(folder: Path, rankings: Sequence[Ranking], theme: Theme) -> Figure:
    """Draw a row for each query: the query, a gap, the ten nearest pictures of the gallery."""
    shown = [(ranking.query, *ranking.gallery[:PLACES]) for ranking in rankings[:QUERIES]]
    pictures = [[thumbnail(folder, shot) for shot in shots] for shots in shown]
    pitch = max((p.height / p.width for row in pictures for p in row if p), default=2.0) + 0.75
    figure = new_figure(theme, 10.4, 10.4 / _COLUMNS * pitch * len(shown))
    axes = figure.add_subplot(facecolor=theme.paper)
    axes.set_axis_off()
    for top, (shots, row) in enumerate(zip(shown, pictures, strict=True)):
        for place, (shot, picture) in enumerate(zip(shots, row, strict=True)):
            left = place * _PITCH + (_GAP if place else 0.0)
            _draw_shot(axes, theme, shot, picture, (left, -top * pitch))
    axes.set(xlim=(-0.05, _COLUMNS), ylim=(-pitch * len(shown) + 0.25, 0.25), aspect="equal")
    return figure


def _draw_shot(axes: Axes, theme: Theme, shot: Shot, picture: Image.Image | None, corner: tuple[float, float]) -> None:
    left, top = corner
    height = picture.height / picture.width if picture else 2.0
    colour = {None: theme.ink, True: theme.right, False: theme.wrong}[shot.right]
    sign = {None: "query", True: "\N{CHECK MARK}", False: "\N{MULTIPLICATION X}"}[shot.right]
    if picture is not None:
        axes.imshow(np.asarray(picture), extent=(left, left + 1, top - height, top), interpolation="bilinear")
    axes.add_patch(Rectangle((left, top - height), 1, height, fill=False, edgecolor=colour, linewidth=3))
    axes.text(left + 0.5, top + 0.07, sign, color=colour, fontsize=8, ha="center", va="bottom")
    words = f"id {shot.identity}\ncam {shot.camera}"
    axes.text(left + 0.5, top - height - 0.07, words, color=theme.muted, fontsize=7, ha="center", va="top")
