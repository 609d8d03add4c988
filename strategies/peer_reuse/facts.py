"""What the server learns of domains before the joint training: sizes, kinds of model, risks."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from flwr.app import ConfigRecord, MetricRecord

from fedretina.train import source_risks

OWN = "own/risk"
"""The metric of a target's scores that has its own risk; no domain has a slash in its name."""


@dataclass(frozen=True)
class DomainFacts:
    """What a node says of a domain before the training.

    Attributes
    ----------
    labelled, unlabelled : int
        Numbers of samples.
    kind : str
        Equal for domains whose bodies have the same tensors.
    tensors : tuple of str
        Names of the tensors of a body.
    share : bool
        Whether the node lets weights that were trained on this target's data go to other domains.
    """

    labelled: int
    unlabelled: int
    kind: str
    tensors: tuple[str, ...]
    share: bool

    @classmethod
    def of(cls, counts: MetricRecord, model: ConfigRecord) -> "DomainFacts":
        """Read the records of a reply."""
        numbers = {name: int(float(str(counts[name]))) for name in ("labelled", "unlabelled")}
        tensors = tuple(json.loads(str(model["tensors"])))
        return cls(**numbers, kind=str(model["kind"]), tensors=tensors, share=bool(model["share"]))


@dataclass(frozen=True)
class TargetRisks:
    """What a target measures before the co-training.

    Attributes
    ----------
    sources : mapping of str to float
        R_m by source.
    own : float or None
        Its own risk, see `fedretina.train.held_out_risk`.
    """

    sources: Mapping[str, float]
    own: float | None

    @classmethod
    def of(cls, scores: Mapping[str, float]) -> "TargetRisks":
        """Read the scores of a reply, in percent."""
        return cls({name: source_risk(score) for name, score in scores.items() if name != OWN}, scores.get(OWN))


def source_risk(score: float) -> float:
    """Compute R_m of one source from its score in the first round."""
    return source_risks({"": [score]}, "learned")[""]
