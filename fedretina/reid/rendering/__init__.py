"""The embedded data: procedural pedestrians, rendered into folders in the layout of Market-1501.

`render` makes the missing domains. A domain has a style, which is derived from its name. People have bodies and clothes.
Cameras have a scene, light and noise. A photo is drawn on a canvas with anti-aliased shapes.
"""

from fedretina.reid.rendering.domains import render

__all__ = ["render"]
