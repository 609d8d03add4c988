"""The page of a run: one HTML file that needs nothing else, and its plots as PNG beside it."""

import base64
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from fedretina.errors import BadArgument
from fedretina.ledger import KINDS
from fedretina.report import text
from fedretina.report.accuracy import plot_accuracy
from fedretina.report.alpha import plot_alpha
from fedretina.report.messages import group, plot_messages
from fedretina.report.peers import COLUMNS, worths
from fedretina.report.ranking import PLACES, QUERIES, data_uri, mark, plot_ranking, thumbnail
from fedretina.report.run import Run, Shot, load
from fedretina.report.style import DARK, LIGHT, Theme, to_png

PAGE = "report.html"


@dataclass(frozen=True)
class Chart:
    """A plot on the page: its name, which is the PNG's as well, its alternative text, and a PNG for each theme."""

    name: str
    alt: str
    light: bytes
    dark: bytes

    @property
    def sources(self) -> dict[str, str]:
        """The PNGs as data URIs."""
        return {"light": _png_uri(self.light), "dark": _png_uri(self.dark)}


def build(folder: Path) -> Path:
    """Write a run's page and plots into its folder.

    The files are `report.html` and `report-<plot>.png`; others are not touched. A run that failed or is under way has a
    page with what there is.

    Parameters
    ----------
    folder : pathlib.Path
        The run's folder.

    Returns
    -------
    pathlib.Path
        The page, absolute.

    Raises
    ------
    BadArgument, Corrupt
        As `load`; also if the page cannot be written.
    """
    run = load(folder)
    charts = {chart.name: chart for chart in _charts(run)}
    for name, chart in charts.items():
        _write(run.folder / f"report-{name}.png", chart.light)
    if run.rankings:
        _write(run.folder / "report-ranking.png", to_png(plot_ranking(run.folder, run.rankings, LIGHT)))
    page = run.folder / PAGE
    _write(page, _render(run, charts).encode())
    return page


def _charts(run: Run) -> Iterator[Chart]:
    if any(entry.metrics for entry in run.rounds):
        yield _chart("accuracy", _accuracy_alt(run), lambda theme: plot_accuracy(run, theme))
    if group(run.rows):
        yield _chart("messages", _messages_alt(run), lambda theme: plot_messages(run.rows, theme))
    if any(entry.alpha for entry in run.rounds):
        yield _chart("alpha", _alpha_alt(run), lambda theme: plot_alpha(run, theme))


def _chart(name: str, alt: str, plot: Callable[[Theme], Figure]) -> Chart:
    return Chart(name, alt, light=to_png(plot(LIGHT)), dark=to_png(plot(DARK)))


def _accuracy_alt(run: Run) -> str:
    last = run.rounds[-1]
    scores = ", ".join(f"{text.label(name)} {text.value(name, score)}" for name, score in last.metrics.items())
    return f"Accuracy of {run.name} after each round over the bytes sent until then; after round {last.number}: {scores}."


def _messages_alt(run: Run) -> str:
    kinds = [
        f"{this.kind} {this.direction} {text.size(this.wire)} instead of {text.size(this.raw)}" for this in group(run.rows)
    ]
    return f"Median bytes of a message on the wire and with plain Flower: {'; '.join(kinds)}."


def _alpha_alt(run: Run) -> str:
    last = next(entry for entry in reversed(run.rounds) if entry.alpha)
    weights = ", ".join(f"{source} {weight:.2f}" for source, weight in text.by_weight(last.alpha)[:10])
    return f"alpha of each source per round; in round {last.number}: {weights}."


def _render(run: Run, charts: dict[str, Chart]) -> str:
    environment = Environment(
        loader=PackageLoader("fedretina.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(size=text.size, times=text.times, label=text.label, difference=text.difference)
    return environment.get_template("page.html.j2").render(
        run=run,
        charts=charts,
        value=text.value,
        headline=text.headline(run),
        gains={key: text.gain_over(run, key) for key in ("baseline", "finetune")},
        groups=group(run.rows),
        kinds=KINDS,
        peers=worths(run),
        columns=COLUMNS,
        failures=[row for row in run.rows if row.error],
        rankings=[
            [_cell(run.folder, shot) for shot in (ranking.query, *ranking.gallery[:PLACES])]
            for ranking in run.rankings[:QUERIES]
        ],
        config=_flat(run.config),
        versions=_flat(run.versions),
    )


def _cell(folder: Path, shot: Shot) -> dict[str, Any]:
    picture = thumbnail(folder, shot)
    return {
        "shot": shot,
        "mark": mark(shot),
        "uri": data_uri(picture) if picture else "",
        "shape": f"{picture.width} / {picture.height}" if picture else "1 / 2",
    }


def _flat(values: Any) -> dict[str, str]:
    return {str(name): item if isinstance(item, str) else json.dumps(item) for name, item in values.items()}


def _png_uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _write(path: Path, data: bytes) -> None:
    """Replace a file at once, so that nobody reads half of it."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        raise BadArgument(f"cannot write {path} ({error.strerror or error}): make room, or copy the run") from error
