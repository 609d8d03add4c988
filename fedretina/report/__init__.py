"""Draw a run: its page, its plots, the tables in the terminal, and the line after each round. `fedretina.runs` reads it."""

from fedretina.report.page import build
from fedretina.report.peers import format_bound, format_peers
from fedretina.report.table import table
from fedretina.report.text import format_round, headline

__all__ = ["build", "format_bound", "format_peers", "format_round", "headline", "table"]
