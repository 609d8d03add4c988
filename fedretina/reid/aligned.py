"""Local distances by alignment of stripes, and the loss on them (Zhang et al., "AlignedReID", 2017)."""

import torch
from torch import Tensor
from torch.nn import functional

from fedretina.errors import BadArgument
from fedretina.reid.losses import batch_hard


def local_distances(first: Tensor, second: Tensor) -> Tensor:
    """Align the stripes of each pair of images from top to bottom, and sum the distances along the shortest path.

    The distance of stripe i of one image and j of the other is d = tanh(||a_i - b_j|| / 2) = (e^x - 1) / (e^x + 1). The path
    goes from (1, 1) to (P, P), down or right at each step. Dynamic programming finds it.

    Parameters
    ----------
    first, second : Tensor of float, shapes (N, P, D) and (M, P, D)
        Features of P stripes per image.

    Returns
    -------
    Tensor, shape (N, M)
        The distances; gradients flow along the paths.

    Raises
    ------
    BadArgument
        The shapes do not fit each other.

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
    distances = torch.tanh(flat / 2)
    paths: list[Tensor] = []  # path lengths of the row above
    for i in range(stripes):
        row: list[Tensor] = []
        for j in range(stripes):
            earlier = ([paths[j]] if i else []) + ([row[j - 1]] if j else [])
            start = torch.zeros_like(distances[:, 0, :, 0])
            shortest = torch.minimum(*earlier) if len(earlier) == 2 else earlier[0] if earlier else start
            row.append(shortest + distances[:, i, :, j])
        paths = row
    return paths[-1]


def aligned_loss(embeddings: Tensor, local: Tensor, labels: Tensor, *, margin: float = 0.3) -> Tensor:
    """Compute the triplet loss of the local distances, on triplets that are batch-hard by the embeddings' distances.

    Parameters
    ----------
    embeddings : Tensor of float, shape (B, D)
        They determine each anchor's farthest image of its identity, and its nearest image of another identity.
    local : Tensor of float, shape (B, P, E)
        Features of the stripes.
    labels : Tensor of int64, shape (B,)
        Identity of each image.
    margin : float, default 0.3
        Margin between the two distances.

    Returns
    -------
    Tensor, shape ()
        Mean over the anchors; 0 if there are none.

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
