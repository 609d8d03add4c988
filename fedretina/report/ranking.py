"""The ranking of a few queries, as re-ID people know it: right matches framed green, wrong ones red."""

import base64
import io
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from fedretina.report.run import Ranking, Shot
from fedretina.report.style import Theme, new_figure

QUERIES, PLACES = 6, 10
_LARGEST = (256, 256)
_PIXELS = 50_000_000

_log = logging.getLogger(__name__)


def thumbnail(folder: Path, shot: Shot) -> Image.Image | None:
    """Read a picture of a run, at most 256 x 256; None, with a warning in the log, where that cannot be.

    Pictures outside the run's folder are not read: a page must not carry off other files.
    """
    path = (folder / shot.path).resolve()
    if not path.is_relative_to(folder.resolve()):
        _log.warning("picture %s of %s left out: it lies outside of the run", shot.path, folder)
        return None
    try:
        with Image.open(path) as picture:
            if picture.width * picture.height > _PIXELS:
                raise ValueError(f"{picture.width} x {picture.height} pixels are too many")
            small = picture.convert("RGB")
    except (OSError, ValueError, Image.DecompressionBombError) as error:
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
    shown = rankings[:QUERIES]
    figure = new_figure(theme, 10.4, 2.15 * len(shown))
    grid = figure.subplots(
        len(shown), PLACES + 2, squeeze=False, width_ratios=[1, 0.15, *[1] * PLACES], subplot_kw={"frame_on": True}
    )
    for cells, ranking in zip(grid, shown, strict=True):
        for axes in cells:
            axes.set_axis_off()
        for axes, shot in zip([cells[0], *cells[2:]], [ranking.query, *ranking.gallery[:PLACES]], strict=False):
            picture = thumbnail(folder, shot)
            axes.set_axis_on()
            axes.set(xticks=[], yticks=[], facecolor=theme.grid)
            if picture is not None:
                axes.imshow(np.asarray(picture), interpolation="bilinear")
            colour = {None: theme.ink, True: theme.right, False: theme.wrong}[shot.right]
            axes.spines[:].set(color=colour, linewidth=3)
            sign = {None: "query", True: "\N{CHECK MARK}", False: "\N{MULTIPLICATION X}"}[shot.right]
            axes.set_title(sign, color=colour, fontsize=8, pad=4)
            axes.set_xlabel(f"id {shot.identity}\ncam {shot.camera}", color=theme.muted, fontsize=7, labelpad=4)
    return figure
