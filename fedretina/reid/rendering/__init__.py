"""The embedded data: procedural pedestrians, rendered into folders in the layout of Market-1501.

`render` makes the domains that are missing. A domain has a style, which follows from its name; people have bodies and
clothes; cameras have a scene, light and noise. A photo is drawn on a canvas with supersampling.
"""

from fedretina.reid.rendering.domains import render

__all__ = ["render"]
