"""Show a run: its page, plots, tables and lines in the log. `fedretina.runs` reads it.

The style of plots (`LIGHT`, `new_figure`, `style_axes`, `to_png` and others) also serves studies and benchmarks.
"""

from fedretina.report.city import build_city
from fedretina.report.page import build
from fedretina.report.peers import format_bound, format_peers
from fedretina.report.style import LIGHT, Theme, label_right, new_figure, outlined, spread, style_axes, to_png
from fedretina.report.table import table
from fedretina.report.text import format_round, headline

__all__ = [
    "LIGHT",
    "Theme",
    "build",
    "build_city",
    "format_bound",
    "format_peers",
    "format_round",
    "headline",
    "label_right",
    "new_figure",
    "outlined",
    "spread",
    "style_axes",
    "table",
    "to_png",
]
