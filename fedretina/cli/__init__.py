"""The `fedretina` command; each group of commands has a file of its own.

Commands import what they need when they run, so that the command line starts quickly.
"""

from fedretina.cli.main import app

__all__ = ["app"]
