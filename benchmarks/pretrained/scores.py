"""How good embeddings are, one number a sample, so that a difference has a standard error."""

import torch
from torch import Tensor
from torch.nn.functional import normalize, one_hot

RIDGE = 0.3
FOLDS = 5


def average_precision(query: Tensor, gallery: Tensor, right: Tensor, allowed: Tensor) -> Tensor:
    """Return each query's average precision, percent, by cosine similarity.

    Parameters
    ----------
    query, gallery : Tensor, shapes (Q, D), (G, D)
        Embeddings.
    right, allowed : Tensor of bool, shape (Q, G)
        Which of the gallery are right, and which are searched. Queries without a right one are left out.
    """
    similarity = normalize(query, dim=1) @ normalize(gallery, dim=1).T
    order = similarity.masked_fill(~allowed, -2).argsort(dim=1, descending=True, stable=True)
    hits = (right & allowed).gather(1, order).double()
    precision = hits.cumsum(1) / torch.arange(1, hits.shape[1] + 1)
    total = hits.sum(1)
    return 100 * (precision * hits).sum(1)[total > 0] / total[total > 0]


def retrieval(embeddings: Tensor, labels: Tensor, groups: Tensor) -> Tensor:
    """Return each item's average precision when the items of all other groups are searched for its label."""
    right = labels[:, None] == labels
    return average_precision(embeddings, embeddings, right, groups[:, None] != groups)


def probe(embeddings: Tensor, labels: Tensor) -> Tensor:
    """Return 100 for each item that ridge regression, trained on the other folds, labels right, else 0."""
    classes = one_hot(labels.unique(return_inverse=True)[1]).double()
    inputs = normalize(embeddings.double() - embeddings.double().mean(0), dim=1)
    inputs = torch.cat([inputs, torch.ones(len(inputs), 1, dtype=inputs.dtype)], 1)
    fold = torch.randperm(len(inputs), generator=torch.Generator().manual_seed(0)) % FOLDS
    scores = torch.zeros_like(classes)
    for index in range(FOLDS):
        known = inputs[fold != index]
        gram = known.T @ known + RIDGE * torch.eye(known.shape[1], dtype=known.dtype)
        scores[fold == index] = inputs[fold == index] @ torch.linalg.solve(gram, known.T @ classes[fold != index])
    return 100.0 * (scores.argmax(1) == classes.argmax(1))
