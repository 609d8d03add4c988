"""Batches of a domain: labelled samples first, and half unlabelled ones where they are asked for and there are some."""

from itertools import islice

import pytest
import torch

from fedretina.task import Splits, Task
from fedretina.train import DomainBatches


class Plain(Task):
    pass


LABELLED = Splits(torch.arange(6)[:, None], torch.arange(6) % 3)
BOTH = Splits(LABELLED.inputs, LABELLED.labels, torch.arange(100, 104)[:, None])


def drawn(splits, size, count=6, seed=0, **options):
    batches = DomainBatches(Plain(), splits, size, **options)
    return list(islice(batches.draw(torch.Generator().manual_seed(seed)), count))


@pytest.mark.parametrize(("splits", "unlabelled"), [(BOTH, False), (LABELLED, True), (LABELLED, False)])
def test_without_unlabelled_samples_a_batch_is_labelled(splits, unlabelled):
    for batch in drawn(splits, 4, unlabelled=unlabelled):
        assert batch.inputs.shape == (4, 1)
        assert torch.equal(batch.labels, batch.inputs[:, 0] % 3)


@pytest.mark.parametrize(("size", "labelled"), [(4, 2), (5, 2)])
def test_half_a_batch_is_unlabelled_and_comes_after_the_labelled_samples(size, labelled):
    batches = drawn(BOTH, size, unlabelled=True)
    for batch in batches:
        assert len(batch.labels) == labelled
        assert torch.equal(batch.labels, batch.inputs[:labelled, 0] % 3)
        assert (batch.inputs[labelled:] >= 100).all()
    assert {int(x) for batch in batches for x in batch.inputs} == {*range(6), *range(100, 104)}


def test_equal_seeds_equal_batches():
    one, again, other = (drawn(BOTH, 4, seed=seed, unlabelled=True) for seed in (1, 1, 2))
    assert all(torch.equal(a.inputs, b.inputs) for a, b in zip(one, again, strict=True))
    assert not all(torch.equal(a.inputs, b.inputs) for a, b in zip(one, other, strict=True))
