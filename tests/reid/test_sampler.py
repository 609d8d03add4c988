from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fedretina.errors import BadArgument
from fedretina.reid.sampler import PKSampler


def sample(identities, p, k, seed=0):
    return PKSampler(identities, p=p, k=k, generator=torch.Generator().manual_seed(seed))


labels = st.lists(st.integers(-3, 12), min_size=1, max_size=60)
sizes = st.integers(1, 9)


@given(identities=labels, p=sizes, k=sizes, seed=st.integers(0, 99))
def test_every_batch_holds_p_identities_with_k_images(identities, p, k, seed):
    sampler = sample(identities, p, k, seed)
    owned = Counter(identities)
    batches = list(sampler)
    assert len(batches) == len(sampler)
    for batch in batches:
        assert batch.dtype == torch.int64
        groups = [{identities[index] for index in group} for group in batch.view(-1, k).tolist()]
        assert all(len(group) == 1 for group in groups)
        assert len({group.pop() for group in groups}) == len(groups) == min(p, len(owned))
        for index, times in Counter(batch.tolist()).items():
            assert times <= -(-k // owned[identities[index]])


@given(identities=labels, p=sizes, k=sizes)
def test_an_epoch_is_as_long_as_the_data(identities, p, k):
    sampler = sample(identities, p, k)
    per_batch = min(p, len(set(identities))) * k
    assert (len(sampler) - 1) * per_batch < len(identities) <= len(sampler) * per_batch


@given(identities=labels, p=sizes, k=sizes)
def test_identities_and_their_images_take_turns(identities, p, k):
    drawn = Counter(torch.cat(list(sample(identities, p, k))).tolist())
    turns = Counter()
    for index, times in drawn.items():
        turns[identities[index]] += times
    counts = [turns[identity] for identity in set(identities)]
    assert max(counts) - min(counts) <= k
    for identity in set(identities):
        times = [drawn[index] for index, owner in enumerate(identities) if owner == identity]
        assert max(times) - min(times) <= 1


@given(seed=st.integers(0, 99))
def test_balanced_data_is_covered_exactly_once(seed):
    identities = [identity for identity in range(8) for _ in range(4)]
    assert sorted(torch.cat(list(sample(identities, 4, 2, seed))).tolist()) == list(range(32))


def test_same_seed_same_epochs_and_each_epoch_another():
    identities = [index % 7 for index in range(50)]
    one, two = sample(identities, 3, 4), sample(identities, 3, 4)
    epochs = [torch.stack(list(one)) for _ in range(2)]
    assert all(torch.equal(epoch, torch.stack(list(two))) for epoch in epochs)
    assert not torch.equal(*epochs)
    assert not torch.equal(epochs[0], torch.stack(list(sample(identities, 3, 4, seed=1))))


def test_lists_arrays_and_tensors_are_alike():
    identities = [3, 3, 1, 1, 2]
    for form in (np.array(identities), torch.tensor(identities), tuple(identities)):
        pairs = zip(sample(form, 2, 2), sample(identities, 2, 2), strict=True)
        assert all(torch.equal(one, other) for one, other in pairs)


@pytest.mark.parametrize(("identities", "p", "k"), [([], 2, 2), ([1], 0, 2), ([1], 2, -1)])
def test_impossible_batches_are_refused(identities, p, k):
    with pytest.raises(BadArgument, match="give"):
        sample(identities, p, k)
