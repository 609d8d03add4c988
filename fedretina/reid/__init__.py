"""Person re-identification, the task of the paper: data sets, a renderer of them, models, losses, metrics.

Folders in the layout of Market-1501 are read by `read_domain` and decoded once by `load_images`; `render` draws such
folders where there are none. `build` makes a network, `PKSampler`, `augment` and the two losses train it, `evaluate`
and `evaluate_features` score it by the standard protocol, `top` lists the rankings for pictures.
"""

from fedretina.reid.augment import augment, to_float
from fedretina.reid.folder import Domain, Photo, read_domain
from fedretina.reid.images import load_images
from fedretina.reid.losses import identity_loss, triplet_loss
from fedretina.reid.metrics import Ranked, Scores, evaluate, evaluate_features, top
from fedretina.reid.models import build
from fedretina.reid.published import Counts, published_counts
from fedretina.reid.render import render
from fedretina.reid.sampler import PKSampler
from fedretina.reid.task import ReIdTask

__all__ = [
    "Counts",
    "Domain",
    "PKSampler",
    "Photo",
    "Ranked",
    "ReIdTask",
    "Scores",
    "augment",
    "build",
    "evaluate",
    "evaluate_features",
    "identity_loss",
    "load_images",
    "published_counts",
    "read_domain",
    "render",
    "to_float",
    "top",
    "triplet_loss",
]
