"""The page of a city: a map, the gain of each domain, the traffic of each link, and a table of the rounds."""

import base64
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from fedretina.atomic import write_text
from fedretina.report.style import LIGHT, new_figure, style_axes, to_png
from fedretina.report.text import size
from fedretina.runs import City, read_city

PAGE = "city.html"
ARROWS_PER_TARGET = 3
MOST_NUMBERS = 20
MOST_ARROWS = 600
"""More arrows cannot be told apart; those of the largest weights are drawn."""
FEW_ARROWS = 150
"""So many arrows have heads, and lines of full width."""


def build_city(folder: Path) -> Path:
    """Write the page of a city into its run's folder, and return its path.

    Parameters
    ----------
    folder : pathlib.Path
        The run's folder.

    Returns
    -------
    pathlib.Path
        The page: one HTML file with everything in it.

    Raises
    ------
    Corrupt
        As `fedretina.runs.read_city`.
    """
    city = read_city(folder)
    charts = {
        "Who teaches whom": plot_map(city),
        "Which district teaches which": plot_districts(city),
        "Gain of each domain": plot_gains(city),
        "Traffic": plot_traffic(city),
    }
    page = folder / PAGE
    write_text(page, _html(city, charts))
    return page


def plot_map(city: City) -> Figure:
    """Draw domains as points, close where their sketches are alike; arrows go from teachers to their targets."""
    figure, axes = _axes("Domains by sketch; a colour for each district; arrows by alpha")
    axes.set_axis_off()
    places = {domain.name: (domain.x, domain.y) for domain in city.domains}
    arrows = strongest_arrows(city)
    if arrows:
        lines = [(places[source], places[target]) for source, target, _ in arrows]
        weights = np.array([weight for _, _, weight in arrows])
        thin = min(1.0, FEW_ARROWS / len(arrows))  # many lines must leave the points to be seen
        widths, opacity = thin * (0.3 + 1.5 * weights), np.clip(thin**0.5 * weights, 0.1, 0.8)
        axes.add_collection(LineCollection(lines, colors=LIGHT.muted, linewidths=widths, alpha=opacity))
        for source, target, weight in arrows if len(arrows) <= FEW_ARROWS else ():
            (x, y), (to_x, to_y) = places[source], places[target]
            middle = (x + to_x) / 2, (y + to_y) / 2
            ahead = middle[0] + 0.01 * (to_x - x), middle[1] + 0.01 * (to_y - y)
            look = {"arrowstyle": "->", "color": LIGHT.muted, "alpha": min(1.0, 0.2 + weight)}
            axes.annotate("", ahead, middle, arrowprops=look)
    colours = [LIGHT.series[domain.district % len(LIGHT.series)] for domain in city.domains]
    points = np.array([places[domain.name] for domain in city.domains])
    axes.scatter(points[:, 0], points[:, 1], c=colours, s=max(6, 60 - len(points) / 10), zorder=3)
    return figure


def strongest_arrows(city: City) -> list[tuple[str, str, float]]:
    """List (source, target, alpha) of the last turn of each domain: up to three for each, the largest of all first."""
    arrows = [
        (source, target, weight)
        for target, alpha in _last_alpha(city).items()
        for source, weight in sorted(alpha.items(), key=lambda item: -item[1])[:ARROWS_PER_TARGET]
    ]
    return sorted(arrows, key=lambda arrow: -arrow[2])[:MOST_ARROWS]


def plot_districts(city: City) -> Figure:
    """Draw which share of their weights the domains of each district give to the domains of each other one, last turns."""
    of = {domain.name: domain.district for domain in city.domains}
    districts = sorted(set(of.values()))
    sums = np.zeros((len(districts), len(districts)))
    for target, alpha in _last_alpha(city).items():
        for source, weight in alpha.items():
            sums[districts.index(of[target]), districts.index(of[source])] += weight
    shares = sums / np.maximum(sums.sum(1, keepdims=True), 1e-12)
    figure, axes = _axes("Share of alpha in percent: rows are districts that learn, columns those that teach")
    axes.imshow(shares, cmap="Greys", vmin=0, vmax=1, aspect="auto")
    axes.grid(visible=False)
    for (row, column), share in np.ndenumerate(shares):
        if len(districts) <= MOST_NUMBERS and round(100 * share):
            look: dict[str, Any] = {
                "ha": "center",
                "va": "center",
                "fontsize": 8,
                "color": "white" if share > 0.5 else LIGHT.ink,
            }
            axes.text(column, row, f"{100 * share:.0f}", **look)
    return figure


def _last_alpha(city: City) -> dict[str, Mapping[str, float]]:
    return {turn["domain"]: turn["alpha"] for turn in city.turns if turn["alpha"]}


def plot_gains(city: City) -> Figure:
    """Draw the gain of each domain over its model from home, sorted."""
    figure, axes = _axes(f"Points of {city.metric} over the model from home, domains sorted")
    home, last = city.scores(first=True), city.scores()
    gains = np.sort([last[name] - home[name] for name in last])[::-1]
    axes.bar(range(len(gains)), gains, width=1.0, color=[LIGHT.right if gain >= 0 else LIGHT.wrong for gain in gains])
    axes.set_xlabel("domain")
    return figure


def plot_traffic(city: City) -> Figure:
    """Draw the bytes of each link, down and up, domains sorted by their bytes down."""
    figure, axes = _axes("Kilobytes of each link over the run, domains sorted")
    sums = {domain.name: [0, 0] for domain in city.domains}
    for turn in city.turns:
        sums[turn["domain"]][0] += turn["down"]
        sums[turn["domain"]][1] += turn["up"]
    down, up = np.array(sorted(sums.values(), reverse=True)).T / 1000
    axes.plot(down, color=LIGHT.series[0], label="down")
    axes.plot(up, color=LIGHT.series[1], label="up")
    axes.legend(frameon=False)
    axes.set_xlabel("domain")
    return figure


def _axes(title: str) -> tuple[Figure, Axes]:
    figure = new_figure(LIGHT, 9, 5)
    axes = figure.add_subplot()
    style_axes(axes, LIGHT, title=title)
    return figure, axes


def _html(city: City, charts: Mapping[str, Figure]) -> str:
    rows = "".join(_row(city, entry) for entry in city.rounds)
    images = "".join(
        f'<h2>{escape(name)}</h2><img alt="{escape(name)}" width="900" '
        f'src="data:image/png;base64,{base64.b64encode(to_png(figure)).decode()}">'
        for name, figure in charts.items()
    )
    failed = sum(1 for turn in city.turns if turn["error"])
    refused = sum(len(turn.get("refused", ())) for turn in city.turns)  # runs of older releases have none
    return (
        "<!doctype html><meta charset='utf-8'><title>City</title><style>body{font:16px sans-serif;max-width:920px;"
        "margin:2em auto;color:#1b2330}td,th{padding:.2em 1em;text-align:right}img{max-width:100%}</style>"
        f"<h1>A city of {len(city.domains)} domains</h1><p>{len(city.turns)} turns, {failed} of them failed; "
        f"{refused} peers' versions were not admitted. "
        "Times are simulated, from the drawn links.</p><table><tr><th>round<th>mean "
        f"{escape(city.metric)}<th>bytes until then<th>half of the domains after<th>the city's mean is that high after</tr>"
        f"{rows}</table>{images}\n"
    )


def _row(city: City, entry: Mapping[str, Any]) -> str:
    reached = city.seconds_to(entry["score"])
    cells = (
        f"{entry['round']}", f"{entry['score']:.2f}", size(entry["bytes"]),
        f"{entry['seconds'] / 60:.1f} min", "-" if reached is None else f"{reached / 60:.1f} min",
    )  # fmt: skip
    return "<tr>" + "".join(f"<td>{cell}" for cell in cells) + "</tr>"
