"""The committee: frozen models label a target's unlabelled samples, and the target trains on these pseudo-labels.

On real images this is the most effective use of peers: more than fine-tuning the best of them, and more than Eq. 1 alone.
`fedretina.features.embed` computes a model's features of the target's samples; `Committee` labels the samples by them. It
works for classification and for retrieval, with or without groups, and with few labels or none: then it makes clusters.
"""

from fedretina.reuse.committee.committee import Committee, Labelling
from fedretina.reuse.committee.options import CommitteeOptions

__all__ = ["Committee", "CommitteeOptions", "Labelling"]
