import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fedretina.errors import BadArgument
from fedretina.reid.losses import all_triplets_loss, batch_hard, identity_loss, triplet_loss


def slow_identity_loss(logits, labels, smoothing):
    total = 0.0
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        normaliser = math.log(sum(math.exp(value) for value in row))
        for index, value in enumerate(row):
            wanted = smoothing / len(row) + (1 - smoothing) * (index == label)
            total += wanted * (normaliser - value)
    return total / len(labels)


def slow_triplet_loss(embeddings, labels):
    points, owners = embeddings.tolist(), labels.tolist()
    losses = []
    for i, anchor in enumerate(points):
        others = [(math.dist(anchor, point), owners[j] == owners[i]) for j, point in enumerate(points) if j != i]
        positive = [distance for distance, same in others if same]
        negative = [distance for distance, same in others if not same]
        if positive and negative:
            losses.append(math.log(1 + math.exp(max(positive) - min(negative))))
    return sum(losses) / len(losses) if losses else 0.0


def points(seed, count, size=3):
    return torch.randn(count, size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@given(seed=st.integers(0, 999), labels=st.lists(st.integers(0, 4), min_size=1), smoothing=st.sampled_from([0, 0.1, 0.7]))
@settings(deadline=None)
def test_identity_loss_is_the_smoothed_cross_entropy(seed, labels, smoothing):
    logits, labels = 3 * points(seed, len(labels), 5), torch.tensor(labels)
    slow = slow_identity_loss(logits, labels, smoothing)
    assert identity_loss(logits, labels, smoothing=smoothing).item() == pytest.approx(slow)


@pytest.mark.parametrize("smoothing", [-0.1, 1.0])
def test_impossible_smoothing_is_refused(smoothing):
    with pytest.raises(BadArgument, match="smoothing"):
        identity_loss(torch.zeros(1, 2), torch.tensor([0]), smoothing=smoothing)


@given(seed=st.integers(0, 999), labels=st.lists(st.integers(0, 4), min_size=1, max_size=30))
@settings(deadline=None)
def test_triplet_loss_is_the_hardest_triplet_of_every_anchor(seed, labels):
    embeddings, labels = points(seed, len(labels)), torch.tensor(labels)
    assert triplet_loss(embeddings, labels).item() == pytest.approx(slow_triplet_loss(embeddings, labels))


@pytest.mark.parametrize("labels", [[], [0], [0, 0, 0], [0, 1, 2]])
def test_without_a_complete_anchor_the_loss_is_zero_with_a_gradient(labels):
    embeddings = points(0, len(labels)).requires_grad_()
    loss = triplet_loss(embeddings, torch.tensor(labels, dtype=torch.int64))
    loss.backward()
    assert loss.item() == 0
    assert (embeddings.grad == 0).all()


def test_gradients_are_right():
    labels = torch.tensor([0, 0, 1, 1, 1, 2])
    assert torch.autograd.gradcheck(lambda e: triplet_loss(e, labels), points(1, 6).requires_grad_())


def test_equal_embeddings_have_a_finite_gradient():
    embeddings = torch.ones(4, 8, requires_grad=True)
    triplet_loss(embeddings, torch.tensor([0, 0, 1, 1])).backward()
    assert embeddings.grad.isfinite().all()


def test_far_embeddings_do_not_overflow():
    embeddings = torch.tensor([[0.0], [1e4], [1.0], [2e4]], requires_grad=True)
    loss = triplet_loss(embeddings, torch.tensor([0, 0, 1, 1]))
    loss.backward()
    assert loss.isfinite()
    assert embeddings.grad.isfinite().all()


def test_descending_separates_identities():
    embeddings, labels = points(3, 12).requires_grad_(), torch.arange(4).repeat_interleave(3)
    start = triplet_loss(embeddings, labels).item()
    optimizer = torch.optim.SGD([embeddings], lr=0.3)
    for _ in range(200):
        optimizer.zero_grad()
        triplet_loss(embeddings, labels).backward()
        optimizer.step()
    assert triplet_loss(embeddings, labels).item() < 0.5 * start


@pytest.mark.parametrize(("embeddings", "labels"), [((4,), (4,)), ((4, 2), (3,)), ((4, 2), (4, 1))])
def test_shapes_that_do_not_fit_are_refused(embeddings, labels):
    with pytest.raises(BadArgument, match="do not fit"):
        triplet_loss(torch.zeros(embeddings), torch.zeros(labels, dtype=torch.int64))


def test_all_triplets_are_counted_one_by_one():
    torch.manual_seed(0)
    embeddings, labels = torch.randn(9, 3), torch.tensor([0, 0, 0, 1, 1, 2, 2, 2, 3])
    found = []
    for a in range(9):
        for p in range(9):
            for n in range(9):
                if a != p and labels[a] == labels[p] != labels[n]:
                    excess = (embeddings[a] - embeddings[p]).norm() - (embeddings[a] - embeddings[n]).norm() + 0.4
                    found += [float(excess)] if excess > 0 else []
    assert float(all_triplets_loss(embeddings, labels, margin=0.4)) == pytest.approx(sum(found) / len(found), rel=1e-4)


def test_where_no_triplet_is_left_the_loss_is_0_with_a_gradient():
    embeddings = torch.tensor([[0.0], [0.1], [9.0], [9.1]], requires_grad=True)
    loss = all_triplets_loss(embeddings, torch.tensor([0, 0, 1, 1]))
    loss.backward()
    assert loss == 0
    assert not embeddings.grad.any()
    with pytest.raises(BadArgument, match="margin is 0"):
        all_triplets_loss(embeddings, torch.tensor([0, 0, 1, 1]), margin=0)


def test_the_hardest_are_those_of_the_batch_hard_loss():
    torch.manual_seed(0)
    embeddings, labels = torch.randn(12, 4), torch.arange(12) % 4
    anchors, farthest, nearest = batch_hard(embeddings, labels)
    positive = (embeddings[anchors] - embeddings[farthest]).norm(dim=1)
    negative = (embeddings[anchors] - embeddings[nearest]).norm(dim=1)
    expected = torch.nn.functional.softplus(positive - negative).mean()
    torch.testing.assert_close(triplet_loss(embeddings, labels), expected)
