"""Person re-identification, the task of the paper: data sets, rendered data, models, losses, metrics.

- Data sets: `read_dataset` reads any known layout (`read_domain` only that of Market-1501), `census` counts images and
  identities, `load_images` decodes photos and caches them. `render` renders the embedded data.
- Training: `build` makes a network; `PKSampler`, `augment` and the losses train it.
- Test: `evaluate` and `evaluate_features` score by the standard protocol, `rerank` re-ranks, `top` lists rankings.
- `make_task` combines all of them in a `ReIdTask`, `sliced_task` over the cameras of a data set.
"""

from fedretina.reid.aligned import aligned_loss, local_distances
from fedretina.reid.augmentation import augment, to_float
from fedretina.reid.counting import Census, ambiguous, census, find_datasets
from fedretina.reid.dataset import read_dataset
from fedretina.reid.factory import EMBEDDED, make_task, task_of
from fedretina.reid.folder import Domain, Photo
from fedretina.reid.images import load_images
from fedretina.reid.losses import all_triplets_loss, batch_hard, identity_loss, triplet_loss
from fedretina.reid.market import read_domain
from fedretina.reid.metrics import Ranked, Scores, evaluate, evaluate_features, top
from fedretina.reid.models import MODELS, build
from fedretina.reid.published import Counts, published_counts
from fedretina.reid.rendering import render
from fedretina.reid.reranking import rerank
from fedretina.reid.sampler import PKSampler
from fedretina.reid.slices import Slice, SlicedTask, SplitBy, sliced_task, slices_of
from fedretina.reid.task import ReIdTask

__all__ = [
    "EMBEDDED",
    "MODELS",
    "Census",
    "Counts",
    "Domain",
    "PKSampler",
    "Photo",
    "Ranked",
    "ReIdTask",
    "Scores",
    "Slice",
    "SlicedTask",
    "SplitBy",
    "aligned_loss",
    "all_triplets_loss",
    "ambiguous",
    "augment",
    "batch_hard",
    "build",
    "census",
    "evaluate",
    "evaluate_features",
    "find_datasets",
    "identity_loss",
    "load_images",
    "local_distances",
    "make_task",
    "published_counts",
    "read_dataset",
    "read_domain",
    "render",
    "rerank",
    "sliced_task",
    "slices_of",
    "task_of",
    "to_float",
    "top",
    "triplet_loss",
]
