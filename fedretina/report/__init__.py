"""What a run came to: the page, its plots, the tables in the terminal, and the line after each round."""

from fedretina.report.page import build
from fedretina.report.peers import format_bound, format_peers
from fedretina.report.run import Run, latest, load, read_round
from fedretina.report.table import table
from fedretina.report.text import format_round, headline

__all__ = [
    "Run",
    "build",
    "format_bound",
    "format_peers",
    "format_round",
    "headline",
    "latest",
    "load",
    "read_round",
    "table",
]
