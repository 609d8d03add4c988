"""The single-query protocol of Market-1501 (Zheng et al., ICCV 2015): which photos of a ranking count, and which are right.

For each query the gallery is sorted by distance, nearest first. Photos with equal distances keep the gallery's order.
Photos of the query's identity by the query's own camera are removed, and so is junk (identity -1). Distractors (identity 0)
remain and are wrong. A query without a right photo is not counted.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fedretina.errors import BadArgument
from fedretina.reid.folder import JUNK

Distances = NDArray[np.floating]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Protocol:
    """The identities and cameras of all photos.

    Parameters
    ----------
    query_ids, query_cameras : ndarray of int64, shape (Q,)
        Identity and camera of the queries.
    gallery_ids, gallery_cameras : ndarray of int64, shape (G,)
        Identity and camera of the gallery's photos.

    Raises
    ------
    BadArgument
        The shapes do not fit.

    Examples
    --------
    >>> protocol = Protocol.of([7], [1], [8, 7, 7], [1, 2, 1])
    >>> protocol.hits(0, np.array([0.1, 0.2, 0.3]))
    array([2])
    """

    query_ids: NDArray[np.int64]
    query_cameras: NDArray[np.int64]
    gallery_ids: NDArray[np.int64]
    gallery_cameras: NDArray[np.int64]

    def __post_init__(self) -> None:
        queries, gallery = self.query_ids.shape, self.gallery_ids.shape
        fits = self.query_cameras.shape == queries and self.gallery_cameras.shape == gallery
        if not fits or len(queries) != 1 or len(gallery) != 1:
            shapes = {name: column.shape for name, column in vars(self).items()}
            raise BadArgument(f"Identities and cameras have the shapes {shapes}: give one of each per photo.")

    @classmethod
    def of(
        cls,
        query_ids: ArrayLike,
        query_cameras: ArrayLike,
        gallery_ids: ArrayLike,
        gallery_cameras: ArrayLike,
    ) -> "Protocol":
        """Make the protocol from anything that numpy converts to a column of integers."""
        return cls(
            np.asarray(query_ids, np.int64),
            np.asarray(query_cameras, np.int64),
            np.asarray(gallery_ids, np.int64),
            np.asarray(gallery_cameras, np.int64),
        )

    def split(self, query: int) -> tuple[Mask, Mask]:
        """Tell which gallery photos remain in a query's ranking, and which of them are right: bool (G,) each."""
        same = self.gallery_ids == self.query_ids[query]
        own_camera = self.gallery_cameras == self.query_cameras[query]
        stays = (self.gallery_ids != JUNK) & ~(same & own_camera)
        return stays, same & stays

    def hits(self, query: int, distances: Distances) -> NDArray[np.intp]:
        """Find the ranks of a query's right photos, ascending, counted from 1; empty if there is none."""
        stays, right = self.split(query)
        if not right.any():
            return np.empty(0, np.intp)
        # Photos beyond the last right one do not matter; sorting only the others is faster.
        stays &= distances <= distances[right].max()
        ranked, wanted = np.sort(distances[stays]), np.sort(distances[right])
        first, beyond = (np.searchsorted(ranked, wanted, side) for side in ("left", "right"))
        if (beyond - first == 1).all():
            return first + 1
        # Equal distances keep the gallery's order, by a stable sort. It is five times slower, and rarely needed.
        order = np.argsort(distances[stays], kind="stable")
        return np.flatnonzero(right[stays][order]) + 1

    def nearest(self, query: int, distances: Distances, *, k: int) -> tuple[list[int], list[bool]]:
        """List the first k photos of a query's ranking, and whether each is right."""
        stays, right = self.split(query)
        order = np.argsort(distances, kind="stable")
        order = order[stays[order]][:k]
        return order.tolist(), right[order].tolist()

    def require(self, distances: Distances, *, queries: int) -> None:
        """Refuse distances that are not of shape (queries, G), or are NaN."""
        expected = (queries, len(self.gallery_ids))
        if distances.shape != expected:
            raise BadArgument(
                f"Distances have the shape {distances.shape}, identities and cameras are for {expected}: "
                "give a row per query and a column per gallery photo."
            )
        if np.isnan(distances).any():
            raise BadArgument(
                "Distances are NaN: the features come from a model that diverged. Give features of another model."
            )
