"""`fedretina dom`: models and their differences as files, without Flower and without torch."""

from fedretina.cli_dom.commands import app

__all__ = ["app"]
