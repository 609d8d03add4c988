"""Mean average precision (mAP), cumulative matching characteristic (CMC), and the rankings on which they are based.

The protocol is that of Market-1501, see `fedretina.reid.protocol`. A query's average precision is the mean of the precision
at each right photo. It is not the area of trapezoids, as in Market-1501's first evaluation script.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from fedretina.errors import BadArgument
from fedretina.reid.protocol import Distances, Protocol


@dataclass(frozen=True, eq=False)
class Scores:
    """The scores of a ranking.

    Parameters
    ----------
    mAP : float
        Mean average precision in percent.
    cmc : ndarray of float64, shape (ranks,)
        ``cmc[r]``: percent of queries with a right photo among the first r + 1.
    queries : int
        Number of queries in the means.
    unmatched : int
        Number of queries that were left out, because the gallery has no right photo by another camera.
    """

    mAP: float
    cmc: NDArray[np.float64]
    queries: int
    unmatched: int

    @property
    def rank1(self) -> float:
        """Percent of queries whose nearest photo is right."""
        return float(self.cmc[0])


@dataclass(frozen=True)
class Ranked:
    """The nearest gallery photos of one query.

    Parameters
    ----------
    query : int
        Index of the query.
    gallery : tuple of int
        Indices of the photos, nearest first, without those that the protocol removes.
    right : tuple of bool
        Whether each shows the query's identity.
    """

    query: int
    gallery: tuple[int, ...]
    right: tuple[bool, ...]


def evaluate(
    distances: Distances,
    *,
    query_ids: ArrayLike,
    query_cameras: ArrayLike,
    gallery_ids: ArrayLike,
    gallery_cameras: ArrayLike,
    ranks: int = 50,
) -> Scores:
    """Score a distance matrix.

    Parameters
    ----------
    distances : ndarray of float, shape (Q, G)
        Distance of each query to each gallery photo.
    query_ids, query_cameras : array of int, shape (Q,)
        Identity and camera of the queries.
    gallery_ids, gallery_cameras : array of int, shape (G,)
        Identity and camera of the gallery's photos.
    ranks : int, default 50
        Length of the CMC curve.

    Returns
    -------
    Scores
        The scores in percent.

    Raises
    ------
    BadArgument
        The shapes do not fit, a distance is NaN, or no query has a right photo by another camera.

    Examples
    --------
    >>> scores = evaluate(
    ...     np.array([[0.1, 0.2, 0.3]]),
    ...     query_ids=[7], query_cameras=[1], gallery_ids=[8, 7, 7], gallery_cameras=[1, 2, 1],
    ... )
    >>> scores.mAP, scores.cmc[:2].tolist()
    (50.0, [0.0, 100.0])
    """
    protocol = Protocol.of(query_ids, query_cameras, gallery_ids, gallery_cameras)
    protocol.require(distances, queries=len(protocol.query_ids))
    return _score([protocol.hits(query, row) for query, row in enumerate(distances)], ranks)


def evaluate_features(
    query: Tensor,
    gallery: Tensor,
    *,
    query_ids: ArrayLike,
    query_cameras: ArrayLike,
    gallery_ids: ArrayLike,
    gallery_cameras: ArrayLike,
    ranks: int = 50,
    block: int = 512,
) -> Scores:
    """Score features by their Euclidean distances. For unit vectors the ranking is the same as by cosine similarity.

    Parameters
    ----------
    query, gallery : Tensor of float, shapes (Q, D) and (G, D)
        Features, on any device.
    query_ids, query_cameras, gallery_ids, gallery_cameras, ranks
        As in `evaluate`.
    block : int, default 512
        Queries per block of distances, of 4 x block x G bytes.

    Returns
    -------
    Scores
        The scores in percent.

    Raises
    ------
    BadArgument
        As in `evaluate`, or `block` is not positive.

    Examples
    --------
    >>> scores = evaluate_features(
    ...     torch.tensor([[1.0]]), torch.tensor([[0.9], [2.0]]),
    ...     query_ids=[7], query_cameras=[1], gallery_ids=[7, 0], gallery_cameras=[2, 3],
    ... )
    >>> scores.mAP, scores.rank1
    (100.0, 100.0)
    """
    if block < 1:
        raise BadArgument(f"block is {block}: give at least 1 query at a time.")
    protocol = Protocol.of(query_ids, query_cameras, gallery_ids, gallery_cameras)
    wanted = range(len(protocol.query_ids))
    hits: list[NDArray[np.intp]] = []
    for start in wanted[::block]:
        queries = wanted[start : start + block]
        rows = _distances(query, gallery, protocol, queries)
        hits += [protocol.hits(index, row) for index, row in zip(queries, rows, strict=True)]
    return _score(hits, ranks)


def top(
    query: Tensor,
    gallery: Tensor,
    *,
    query_ids: ArrayLike,
    query_cameras: ArrayLike,
    gallery_ids: ArrayLike,
    gallery_cameras: ArrayLike,
    k: int = 10,
    queries: Sequence[int] | None = None,
) -> list[Ranked]:
    """List the nearest gallery photos of some queries.

    Parameters
    ----------
    query, gallery, query_ids, query_cameras, gallery_ids, gallery_cameras
        As in `evaluate_features`.
    k : int, default 10
        Photos per query (fewer if the gallery has fewer).
    queries : sequence of int, optional
        Indices of the queries. Default: all.

    Returns
    -------
    list of Ranked
        One per query, in the given order.

    Raises
    ------
    BadArgument
        The shapes do not fit, or a distance is NaN.

    Examples
    --------
    >>> top(
    ...     torch.tensor([[1.0]]), torch.tensor([[2.0], [0.9]]),
    ...     query_ids=[7], query_cameras=[1], gallery_ids=[7, 0], gallery_cameras=[2, 3],
    ... )
    [Ranked(query=0, gallery=(1, 0), right=(False, True))]
    """
    protocol = Protocol.of(query_ids, query_cameras, gallery_ids, gallery_cameras)
    wanted = range(len(protocol.query_ids)) if queries is None else queries
    rows = _distances(query, gallery, protocol, wanted)
    ranked = []
    for index, row in zip(wanted, rows, strict=True):
        photos, right = protocol.nearest(index, row, k=k)
        ranked.append(Ranked(index, tuple(photos), tuple(right)))
    return ranked


def _distances(query: Tensor, gallery: Tensor, protocol: Protocol, queries: Sequence[int]) -> Distances:
    """Compute the squared Euclidean distances of some queries; they give the same ranking as the distances."""
    shapes = tuple(query.shape), tuple(gallery.shape)
    counts = len(protocol.query_ids), len(protocol.gallery_ids)
    comparable = query.ndim == gallery.ndim == 2 and query.shape[1] == gallery.shape[1]
    if not comparable or (len(query), len(gallery)) != counts:
        raise BadArgument(
            f"Features have the shapes {shapes[0]} and {shapes[1]}: give (Q, D) and (G, D) by one model, "
            f"where (Q, G) = {counts}, the numbers of identities and cameras."
        )
    some, all_ = query[list(queries)].detach().float(), gallery.detach().float()
    squares = some.square().sum(1, keepdim=True) + all_.square().sum(1)
    distances: Distances = torch.addmm(squares, some, all_.T, alpha=-2).cpu().numpy()
    protocol.require(distances, queries=len(queries))
    return distances


def _score(hits: Iterable[NDArray[np.intp]], ranks: int) -> Scores:
    """Average over the queries. `hits` has, for each query, the ranks of its right photos, ascending from 1."""
    if ranks < 1:
        raise BadArgument(f"ranks is {ranks}: give at least 1, the length of the CMC curve.")
    rankings = list(hits)
    matched = [ranking for ranking in rankings if len(ranking)]
    if not matched:
        raise BadArgument(
            f"None of {len(rankings)} queries has a photo of its identity by another camera in the gallery: "
            "check the splits, and identities and cameras in the file names."
        )
    precision = [np.mean(np.arange(1, len(ranking) + 1) / ranking) for ranking in matched]
    first = np.array([ranking[0] for ranking in matched])
    return Scores(
        mAP=100 * float(np.mean(precision)),
        cmc=100 * np.mean(first[:, None] <= np.arange(1, ranks + 1), axis=0),
        queries=len(matched),
        unmatched=len(rankings) - len(matched),
    )
