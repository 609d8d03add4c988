"""The committee: frozen models label a target's unlabelled samples, so that it can train on them.

On real images this is what makes peers worth most: more than fine-tuning the best of them, and more than Eq. 1 alone.
`fedretina.features.embed` gives a model's features of the target's samples, `Committee` labels by them. It needs no label
at all (there are clusters then), no groups, and no retrieval: classes may be an image's kind or a person's identity.
"""

from fedretina.reuse.committee.committee import Committee, Labelling
from fedretina.reuse.committee.options import CommitteeOptions

__all__ = ["Committee", "CommitteeOptions", "Labelling"]
