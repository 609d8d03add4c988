"""The `fedretina` command: one file a group of commands.

Commands import what they need when they run, so that the command line starts quickly.
"""

from fedretina.cli.main import app

__all__ = ["app"]
