"""The supervised losses of re-identification: identity classification, and triplet losses."""

import torch
from torch import Tensor
from torch.nn import functional

from fedretina.errors import BadArgument


def identity_loss(logits: Tensor, labels: Tensor, *, smoothing: float = 0.1) -> Tensor:
    """Compute the softmax cross-entropy over identities, with label smoothing (Szegedy et al., CVPR 2016).

    Parameters
    ----------
    logits : Tensor of float, shape (B, identities)
        The classifier's output.
    labels : Tensor of int64, shape (B,)
        Indices of the identities.
    smoothing : float, default 0.1
        Share of the target that is spread evenly over all identities, in [0, 1).

    Returns
    -------
    Tensor, shape ()
        Mean over the batch, in nats.

    Raises
    ------
    BadArgument
        `smoothing` is not in [0, 1).

    Examples
    --------
    >>> identity_loss(torch.zeros(2, 4), torch.tensor([0, 3]))
    tensor(1.3863)
    """
    if not 0 <= smoothing < 1:
        raise BadArgument(f"smoothing is {smoothing}: give a share of at least 0 and less than 1.")
    return functional.cross_entropy(logits, labels, label_smoothing=smoothing)


def triplet_loss(embeddings: Tensor, labels: Tensor) -> Tensor:
    """Compute the batch-hard triplet loss with a soft margin (Hermans et al., 2017, equations 5 and 7).

    The loss of an anchor is log(1 + exp(d+ - d-)). d+ is the Euclidean distance to the farthest image of its identity, and
    d- the distance to the nearest image of another identity. Anchors without one of them are left out. If no anchor remains,
    the loss is 0, with a gradient of 0.

    Parameters
    ----------
    embeddings : Tensor of float, shape (B, D)
        The embeddings that retrieval compares; they are not normalised here.
    labels : Tensor of int64, shape (B,)
        Identity of each image.

    Returns
    -------
    Tensor, shape ()
        Mean over the anchors.

    Raises
    ------
    BadArgument
        The shapes do not fit each other.

    Examples
    --------
    >>> triplet_loss(torch.tensor([[0.0], [1.0], [3.0], [5.0]]), torch.tensor([0, 0, 1, 1]))
    tensor(0.3151)
    """
    if embeddings.ndim != 2 or labels.shape != embeddings.shape[:1]:
        raise BadArgument(
            f"Embeddings of shape {tuple(embeddings.shape)} and labels of shape {tuple(labels.shape)} "
            "do not fit: give (B, D) and (B,)."
        )
    # Differences, not inner products: exact for near pairs, and the gradient at distance 0 is 0, not NaN.
    distances = torch.cdist(embeddings, embeddings, compute_mode="donot_use_mm_for_euclid_dist")
    same = labels[:, None] == labels[None, :]
    complete = (same.sum(1) > 1) & ~same.all(1)
    if not complete.any():
        return 0.0 * embeddings.sum()
    farthest = distances.masked_fill(~same, -torch.inf).amax(1)[complete]
    nearest = distances.masked_fill(same, torch.inf).amin(1)[complete]
    return functional.softplus(farthest - nearest).mean()


def batch_hard(embeddings: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Find each anchor's farthest image of its identity, and its nearest image of another identity.

    Parameters
    ----------
    embeddings, labels
        As for `triplet_loss`.

    Returns
    -------
    tuple of three Tensors of int64, shape (A,)
        Indices of the anchors, of the farthest images and of the nearest images. Anchors without one of them are left out.

    Examples
    --------
    >>> [part.tolist() for part in batch_hard(torch.tensor([[0.0], [1.0], [3.0]]), torch.tensor([0, 0, 1]))]
    [[0, 1], [1, 0], [2, 2]]
    """
    distances = torch.cdist(embeddings.detach(), embeddings.detach(), compute_mode="donot_use_mm_for_euclid_dist")
    same = labels[:, None] == labels[None, :]
    anchors = ((same.sum(1) > 1) & ~same.all(1)).nonzero().flatten()
    farthest = distances.masked_fill(~same, -torch.inf).argmax(1)[anchors]
    nearest = distances.masked_fill(same, torch.inf).argmin(1)[anchors]
    return anchors, farthest, nearest


def all_triplets_loss(embeddings: Tensor, labels: Tensor, *, margin: float = 0.3) -> Tensor:
    """Compute the triplet loss max(0, d+ - d- + margin) over all triplets of a batch, averaged over those above 0.

    It is the "triplet loss" of Table 3. `triplet_loss` is the batch-hard one.

    Parameters
    ----------
    embeddings, labels
        As for `triplet_loss`.
    margin : float, default 0.3
        The margin; positive.

    Returns
    -------
    Tensor, shape ()
        The mean; 0, with a gradient of 0, if no triplet is above 0.

    Raises
    ------
    BadArgument
        The margin is not positive.

    Examples
    --------
    >>> all_triplets_loss(torch.tensor([[0.0], [1.0], [1.2], [9.0]]), torch.tensor([0, 0, 1, 1]), margin=0.5)
    tensor(3.4200)
    """
    if not margin > 0:
        raise BadArgument(f"margin is {margin}: give a positive one.")
    distances = torch.cdist(embeddings, embeddings, compute_mode="donot_use_mm_for_euclid_dist")
    same = labels[:, None] == labels[None, :]
    pairs = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    excess = functional.relu(distances[:, :, None] - distances[:, None, :] + margin)
    excess = excess * (pairs[:, :, None] & ~same[:, None, :])
    return excess.sum() / (excess > 0).sum().clamp_min(1)
