"""Local distances by alignment, and the losses on them (Zhang et al., "AlignedReID", 2017)."""

import torch
from torch import Tensor
from torch.nn import functional

from fedretina.errors import BadArgument
from fedretina.reid.losses import batch_hard


def local_distances(first: Tensor, second: Tensor) -> Tensor:
    """Align the stripes of each pair of images from top to bottom, and sum the distances along the cheapest path.

    Stripe i of one and j of the other are d = tanh(||a_i - b_j|| / 2) apart, which is (e^x - 1) / (e^x + 1); the path goes
    from (1, 1) to (P, P), down or right at each step, found by dynamic programming.

    Parameters
    ----------
    first, second : Tensor of float, shapes (N, P, D) and (M, P, D)
        P stripes an image.

    Returns
    -------
    Tensor, shape (N, M)
        With gradients along the paths.

    Raises
    ------
    BadArgument
        The shapes don't fit each other.

    Examples
    --------
    >>> person = torch.tensor([[[0.0], [1.0]]])
    >>> local_distances(person, person)  # the path passes one pair of different stripes
    tensor([[0.4621]])
    """
    if first.ndim != 3 or second.ndim != 3 or first.shape[1:] != second.shape[1:]:
        raise BadArgument(f"stripes of shape {tuple(first.shape)} and {tuple(second.shape)}: give (N, P, D) and (M, P, D)")
    count, stripes, size = first.shape
    flat = torch.cdist(first.reshape(-1, size), second.reshape(-1, size), compute_mode="donot_use_mm_for_euclid_dist").view(
        count, stripes, len(second), stripes
    )
    apart = torch.tanh(flat / 2)
    paths: list[Tensor] = []  # of the row above, then of this row up to here
    for i in range(stripes):
        row: list[Tensor] = []
        for j in range(stripes):
            ways = ([paths[j]] if i else []) + ([row[j - 1]] if j else [])
            before = torch.minimum(*ways) if len(ways) == 2 else ways[0] if ways else torch.zeros_like(apart[:, 0, :, 0])
            row.append(before + apart[:, i, :, j])
        paths = row
    return paths[-1]


def aligned_loss(embeddings: Tensor, local: Tensor, labels: Tensor, *, margin: float = 0.3) -> Tensor:
    """Batch-hard triplets, chosen by the embeddings' distances, of the images' local distances.

    Parameters
    ----------
    embeddings : Tensor of float, shape (B, D)
        They choose each anchor's farthest image of its identity and nearest of another.
    local : Tensor of float, shape (B, P, E)
        Stripes.
    labels : Tensor of int64, shape (B,)
        Identity of each.
    margin : float, default 0.3
        By how much more the other one should be away.

    Returns
    -------
    Tensor, shape ()
        Mean over the anchors; 0 if there is none.

    Examples
    --------
    >>> points = torch.tensor([[0.0], [0.0], [9.0], [9.0]])
    >>> aligned_loss(points, points[:, None], torch.tensor([0, 0, 1, 1]))
    tensor(0.)
    """
    anchors, farthest, nearest = batch_hard(embeddings, labels)
    if not len(anchors):
        return 0.0 * local.sum()
    distances = local_distances(local, local)
    loss: Tensor = functional.relu(distances[anchors, farthest] - distances[anchors, nearest] + margin).mean()
    return loss
