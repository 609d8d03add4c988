"""Show a run: its page, plots, tables and lines in the log. `fedretina.runs` reads it.

The style of plots (`LIGHT`, `new_figure`, `style_axes`, `to_png` and others) also serves studies and benchmarks.
"""

from fedretina.report.city import build_city
from fedretina.report.compare import compare
from fedretina.report.page import build
from fedretina.report.peers import format_bound, format_peers
from fedretina.report.style import LIGHT, Theme, bytes_axis, label_right, new_figure, outlined, spread, style_axes, to_png
from fedretina.report.table import table
from fedretina.report.text import format_round, headline, size
from fedretina.report.values import RoundLogger, round_values, start_logger, write_csv, write_tensorboard
from fedretina.report.watch import Progress, frame, new_rounds, progress_of, sparkline

__all__ = [
    "LIGHT",
    "Progress",
    "RoundLogger",
    "Theme",
    "build",
    "build_city",
    "bytes_axis",
    "compare",
    "format_bound",
    "format_peers",
    "format_round",
    "frame",
    "headline",
    "label_right",
    "new_figure",
    "new_rounds",
    "outlined",
    "progress_of",
    "round_values",
    "size",
    "sparkline",
    "spread",
    "start_logger",
    "style_axes",
    "table",
    "to_png",
    "write_csv",
    "write_tensorboard",
]
