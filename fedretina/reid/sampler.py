"""Batches of P identities with K images each, as the triplet loss needs them (Hermans et al., 2017)."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fedretina.errors import BadArgument


class PKSampler:
    """Deal batches of P distinct identities with K images each.

    An epoch is as many batches as hold the data once, ceil(N / (P K)). Identities take turns, so that each
    comes equally often (to within one), however many images it has; the images of an identity take turns
    likewise. Within a batch an image repeats only if its identity has fewer than K. Where there are fewer
    than P identities, a batch holds all of them.

    Parameters
    ----------
    identities : sequence of int, ndarray or Tensor, shape (N,)
        Identity of every image.
    p, k : int
        Identities per batch, and images of each.
    generator : torch.Generator
        Source of chance, on the CPU. Every epoch draws from it anew.

    Raises
    ------
    BadArgument
        If there are no identities or p or k is not positive.

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
            raise BadArgument(f"Batches of {p} identities x {k} images are impossible: give p and k of at least 1.")
        self._images: dict[int, list[int]] = {}
        for index, identity in enumerate(torch.as_tensor(identities).tolist()):
            self._images.setdefault(identity, []).append(index)
        self._count, self._k, self._generator = len(identities), k, generator
        self._p = min(p, len(self._images))

    def __len__(self) -> int:
        """Batches per epoch."""
        return math.ceil(self._count / (self._p * self._k))

    def __iter__(self) -> Iterator[Tensor]:
        """Yield each batch's image indices, int64 of shape (P * K,), those of an identity side by side."""
        turns = _Deck(list(self._images), self._generator)
        decks = {identity: _Deck(images, self._generator) for identity, images in self._images.items()}
        for _ in range(len(self)):
            hands = [decks[identity].deal(self._k) for identity in turns.deal(self._p)]
            yield torch.tensor(hands).flatten()


class _Deck:
    """Cards dealt in shuffled order, again and again."""

    def __init__(self, cards: list[int], generator: torch.Generator) -> None:
        self._cards, self._generator = cards, generator
        self._rest: list[int] = []

    def deal(self, count: int) -> list[int]:
        hand, self._rest = self._rest[:count], self._rest[count:]
        while len(hand) < count:
            # What the hand holds goes to the back of the new shuffle: nothing repeats before all have come.
            shuffled = self._shuffle()
            fresh = [card for card in shuffled if card not in hand] + [card for card in shuffled if card in hand]
            missing = count - len(hand)
            hand, self._rest = hand + fresh[:missing], fresh[missing:]
        return hand

    def _shuffle(self) -> list[int]:
        return [self._cards[place] for place in torch.randperm(len(self._cards), generator=self._generator).tolist()]
