"""Features of samples: the outputs of any network's layers, and BatchNorm statistics for the data at hand.

- `Taps` records the outputs of layers while a model runs; `layer_outputs` and `layer_shapes` run the model once.
- `adapt_batchnorm` re-estimates BatchNorm statistics on other data (AdaBN).
- `embed` computes a layer's output for every sample, with BatchNorm statistics of the sample's own group.
  `layer_features` computes it for batches that the caller prepares, with the model's own statistics.
- `neighbour_graph`, `reciprocal_edges` and `expand_neighbours` build the graphs of k-reciprocal encoding.
"""

from fedretina.features.adabn import adapt_batchnorm
from fedretina.features.embedding import embed, layer_features
from fedretina.features.modes import eval_mode
from fedretina.features.reciprocal import edge_rows, expand_neighbours, neighbour_graph, reciprocal_edges
from fedretina.features.states import list_some, state_faults
from fedretina.features.statistics import RunningStatistics, running_mean
from fedretina.features.taps import Taps, in_place_changes, layer_outputs, layer_shapes

__all__ = [
    "RunningStatistics",
    "Taps",
    "adapt_batchnorm",
    "edge_rows",
    "embed",
    "eval_mode",
    "expand_neighbours",
    "in_place_changes",
    "layer_features",
    "layer_outputs",
    "layer_shapes",
    "list_some",
    "neighbour_graph",
    "reciprocal_edges",
    "running_mean",
    "state_faults",
]
