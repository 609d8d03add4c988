"""Write the page of a run: one HTML file with everything in it, and its plots as PNG files."""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from fedretina.atomic import write_bytes
from fedretina.errors import BadArgument
from fedretina.report import text
from fedretina.report.accuracy import plot_accuracy
from fedretina.report.alpha import plot_alpha
from fedretina.report.messages import plot_messages
from fedretina.report.peers import COLUMNS, PeerValue, peer_values
from fedretina.report.ranking import data_uri, mark, plot_ranking, thumbnail
from fedretina.report.style import DARK, LIGHT, Theme, to_png
from fedretina.runs import PLACES, QUERIES, ModelHistory, Picture, Run, load

PAGE = "report.html"


@dataclass(frozen=True)
class Chart:
    """A plot on the page: its name, which is in the PNG's file name too, its alternative text, and a PNG for each theme."""

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

    The files are `report.html` and `report-<plot>.png`, or `report-<plot>-<target>.png` in a run with several targets. Other
    files are not touched. If the run failed or is under way, the page shows the results so far.

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
    parts = [_part(run, history) for history in run.histories]
    messages = {}
    if run.message_groups:
        messages["messages"] = _chart("messages", _messages_alt(run), lambda theme: plot_messages(run, theme))
    for chart in (*messages.values(), *(chart for part in parts for chart in part.charts.values())):
        _write(run.folder / f"report-{chart.name}.png", chart.light)
    for part in parts:
        if part.history.rankings:
            picture = to_png(plot_ranking(run.folder, part.history.rankings, LIGHT))
            _write(run.folder / f"report-ranking{part.suffix}.png", picture)
    page = run.folder / PAGE
    _write(page, _render(run, parts, messages).encode())
    return page


@dataclass(frozen=True)
class Part:
    """The part of the page about one model; `suffix` ends the names of its plots in a run with several targets."""

    history: ModelHistory
    suffix: str
    charts: Mapping[str, Chart]
    rankings: Sequence[Sequence[Mapping[str, Any]]]

    @property
    def gains(self) -> dict[str, float | None]:
        """By baseline: the gain of reuse over it, None if one of the two is missing."""
        return {key: text.gain_over(self.history, key) for key in ("alone", "finetune")}

    @property
    def peers(self) -> list[PeerValue]:
        """The peers of the target."""
        return peer_values(self.history)


def _part(run: Run, history: ModelHistory) -> Part:
    suffix = f"-{quote(history.target, safe='')}" if len(run.targets) > 1 else ""
    charts = {}
    if any(entry.metrics for entry in history.rounds):
        alt = _accuracy_alt(history)
        charts["accuracy"] = _chart(f"accuracy{suffix}", alt, lambda theme: plot_accuracy(history, theme))
    if any(entry.alpha for entry in history.rounds):
        charts["alpha"] = _chart(f"alpha{suffix}", _alpha_alt(history), lambda theme: plot_alpha(history, theme))
    rankings = [
        [_cell(run.folder, picture) for picture in (ranking.query, *ranking.gallery[:PLACES])]
        for ranking in history.rankings[:QUERIES]
    ]
    return Part(history, suffix, charts, rankings)


def _chart(name: str, alt: str, plot: Callable[[Theme], Figure]) -> Chart:
    return Chart(name, alt, light=to_png(plot(LIGHT)), dark=to_png(plot(DARK)))


def _accuracy_alt(history: ModelHistory) -> str:
    last = history.rounds[-1]
    scores = ", ".join(f"{text.label(name)} {text.value(name, score)}" for name, score in last.metrics.items())
    name = f"{history.method} on {history.target}" if history.target else history.method
    return f"Accuracy of {name} after each round, over the bytes until then. After round {last.number}: {scores}."


def _messages_alt(run: Run) -> str:
    kinds = [
        f"{group.kind} {group.direction} {text.size(group.wire)} instead of {text.size(group.raw)}"
        for group in run.message_groups
    ]
    return f"Median bytes of a message on the wire and uncompressed: {'; '.join(kinds)}."


def _alpha_alt(history: ModelHistory) -> str:
    last = next(entry for entry in reversed(history.rounds) if entry.alpha)
    weights = ", ".join(f"{source} {weight:.2f}" for source, weight in text.by_weight(last.alpha)[:10])
    name = f" on {history.target}" if history.target else ""
    return f"alpha of each source{name} by round. In round {last.number}: {weights}."


def _render(run: Run, parts: Sequence[Part], charts: Mapping[str, Chart]) -> str:
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
        parts=parts,
        charts=charts,
        value=text.value,
        headline=text.headline(run),
        labels=text.RESULTS,
        columns=COLUMNS,
        failures=[row for row in run.rows if row.error],
        config=_flat(run.config),
        versions=_flat(run.versions),
    )


def _cell(folder: Path, picture: Picture) -> dict[str, Any]:
    image = thumbnail(folder, picture)
    return {
        "picture": picture,
        "mark": mark(picture),
        "uri": data_uri(image) if image else "",
        "shape": f"{image.width} / {image.height}" if image else "1 / 2",
    }


def _flat(values: Any) -> dict[str, str]:
    return {str(name): item if isinstance(item, str) else json.dumps(item) for name, item in values.items()}


def _png_uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _write(path: Path, data: bytes) -> None:
    try:
        write_bytes(path, data)
    except OSError as error:
        raise BadArgument(f"cannot write {path} ({error.strerror or error}): make room, or copy the run") from error
