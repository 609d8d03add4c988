"""Features of samples: what a layer of any network gives for them, and the statistics that belong to them.

`Taps` records the outputs of layers. `embed` gives a layer's output for all samples, with BatchNorm statistics of each
sample's own group; `layer_features` does it for batches that the caller makes. `adapt_batchnorm` gives a network the
statistics of other data (AdaBN). `reuse`, `reid` and the strategies build on this room.
"""

from fedretina.features.adabn import adapt_batchnorm
from fedretina.features.embedding import embed, layer_features
from fedretina.features.modes import evaluating
from fedretina.features.statistics import RunningStatistics, running_mean
from fedretina.features.taps import Taps, layer_outputs, shapes

__all__ = [
    "RunningStatistics",
    "Taps",
    "adapt_batchnorm",
    "embed",
    "evaluating",
    "layer_features",
    "layer_outputs",
    "running_mean",
    "shapes",
]
