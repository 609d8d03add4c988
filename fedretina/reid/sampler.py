"""Batches of P identities with K images each, for the triplet loss (Hermans et al., 2017)."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fedretina.errors import BadArgument


class PKSampler:
    """Draw batches of P different identities with K images each.

    An epoch has ceil(N / (P K)) batches. Each identity is drawn equally often (the counts differ by at most one), for any
    number of images. The images of an identity are also drawn equally often. An image is repeated in a batch only if its
    identity has fewer than K images. If there are fewer than P identities, a batch has all of them.

    Parameters
    ----------
    identities : sequence of int, ndarray or Tensor, shape (N,)
        Identity of each image.
    p, k : int
        Identities per batch, and images per identity.
    generator : torch.Generator
        Source of randomness, on the CPU. Every epoch draws new numbers.

    Raises
    ------
    BadArgument
        There are no identities, or p or k is not positive.

    Examples
    --------
    >>> sampler = PKSampler([5, 5, 7, 7, 9, 9], p=2, k=2, generator=torch.Generator().manual_seed(0))
    >>> len(sampler), [len(batch) for batch in sampler]
    (2, [4, 4])
    """

    def __init__(
        self,
        identities: Sequence[int] | NDArray[np.integer] | Tensor,
        *,
        p: int,
        k: int,
        generator: torch.Generator,
    ) -> None:
        if len(identities) == 0:
            raise BadArgument("There is no image to sample from: give the identities of at least one.")
        if p < 1 or k < 1:
            raise BadArgument(f"p = {p}, k = {k}: give p and k of at least 1.")
        self._images: dict[int, list[int]] = {}
        for index, identity in enumerate(torch.as_tensor(identities).tolist()):
            self._images.setdefault(identity, []).append(index)
        self._count, self._k, self._generator = len(identities), k, generator
        self._p = min(p, len(self._images))

    def __len__(self) -> int:
        """Number of batches per epoch."""
        return math.ceil(self._count / (self._p * self._k))

    def __iter__(self) -> Iterator[Tensor]:
        """Yield the image indices of each batch, int64 of shape (P * K,), grouped by identity."""
        identities = _Shuffled(list(self._images), self._generator)
        images_of = {identity: _Shuffled(images, self._generator) for identity, images in self._images.items()}
        for _ in range(len(self)):
            chosen = [images_of[identity].draw(self._k) for identity in identities.draw(self._p)]
            yield torch.tensor(chosen).flatten()


class _Shuffled:
    """Draws items in shuffled order; after all were drawn, it shuffles again."""

    def __init__(self, items: list[int], generator: torch.Generator) -> None:
        self._items, self._generator = items, generator
        self._rest: list[int] = []

    def draw(self, count: int) -> list[int]:
        drawn, self._rest = self._rest[:count], self._rest[count:]
        while len(drawn) < count:
            # Items that were drawn already go to the end of the new order: no item repeats before all were drawn.
            shuffled = self._shuffle()
            order = [item for item in shuffled if item not in drawn] + [item for item in shuffled if item in drawn]
            missing = count - len(drawn)
            drawn, self._rest = drawn + order[:missing], order[missing:]
        return drawn

    def _shuffle(self) -> list[int]:
        return [self._items[index] for index in torch.randperm(len(self._items), generator=self._generator).tolist()]
