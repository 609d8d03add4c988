"""Inner loops in C, for speed: they are optional, and give the same bits as NumPy.

`kernels` finds them; `Kernels` has one function for each loop.
"""

from fedretina.dom.kernels.library import ROUNDINGS, Kernels, Space, kernels

__all__ = ["ROUNDINGS", "Kernels", "Space", "kernels"]
