"""Edge domains that teach each other, over difference-of-models traffic, on Flower."""

from importlib.metadata import version

__version__ = version("fedretina")
