"""The supervised losses by name, as in Table 3 of the paper."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from fedretina.reid.aligned import aligned_loss
from fedretina.reid.heads import PartsOutput
from fedretina.reid.losses import all_triplets_loss, identity_loss, triplet_loss
from fedretina.reid.networks import Output


@dataclass(frozen=True)
class SupervisedLoss:
    """A loss on a model's output and the labels of a batch.

    Parameters
    ----------
    compute : callable
        Takes an `Output` or `PartsOutput` and labels of shape (B,), returns a scalar.
    by_identity : bool, default True
        Whether batches need several photos of each identity, for triplets.
    head : str, default ""
        The head that the loss needs; "" for any head.
    only_triplets : bool, default False
        Whether the loss is 0 if no identity has two photos.
    """

    compute: Callable[[Output | PartsOutput, Tensor], Tensor]
    by_identity: bool = True
    head: str = ""
    only_triplets: bool = False


def known_identity_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Compute the identity loss of the samples whose identity has a logit; it is averaged over the parts, if any."""
    known = labels < logits.shape[-1]
    if not known.all():
        logits, labels = logits[known], labels[known]
    if not len(labels):
        return 0 * logits.sum()
    if logits.ndim == 3:
        return torch.stack([identity_loss(part, labels) for part in logits.unbind(1)]).mean()
    return identity_loss(logits, labels)


def _softmax(output: Output | PartsOutput, labels: Tensor) -> Tensor:
    return known_identity_loss(output.logits, labels)


def _softmax_and_triplet(output: Output | PartsOutput, labels: Tensor) -> Tensor:
    return _softmax(output, labels) + triplet_loss(output.embedding, labels)


def _triplet(output: Output | PartsOutput, labels: Tensor) -> Tensor:
    return all_triplets_loss(output.embedding, labels)


def _batch_hard(output: Output | PartsOutput, labels: Tensor) -> Tensor:
    return triplet_loss(output.embedding, labels)


def _aligned(output: Output | PartsOutput, labels: Tensor) -> Tensor:
    assert isinstance(output, PartsOutput)  # its head is "parts"
    return _softmax_and_triplet(output, labels) + aligned_loss(output.embedding, output.local, labels)


LOSSES: Mapping[str, SupervisedLoss] = {
    "softmax": SupervisedLoss(_softmax, by_identity=False),
    "softmax+triplet": SupervisedLoss(_softmax_and_triplet),
    "triplet": SupervisedLoss(_triplet, only_triplets=True),
    "batch-hard": SupervisedLoss(_batch_hard, only_triplets=True),
    "aligned": SupervisedLoss(_aligned, head="parts"),
}
"""The losses: identity; identity and batch-hard triplets; all triplets; batch-hard triplets; AlignedReID."""
