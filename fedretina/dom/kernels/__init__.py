"""Inner loops in C, for speed: they are optional, and give the same bits as NumPy.

`kernels` finds them; `Kernels` has one function for each loop, `Sample` looks for steps.
"""

from fedretina.dom.kernels.library import ROUNDINGS, Kernels, Space, kernels
from fedretina.dom.kernels.sample import Prediction, Sample

__all__ = ["ROUNDINGS", "Kernels", "Prediction", "Sample", "Space", "kernels"]
