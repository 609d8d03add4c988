import numpy as np
import pytest

from fedretina.reuse.committee import jaccard
from fedretina.reuse.committee.jaccard import jaccard_similarity
from fedretina.reuse.committee.unit_vectors import normalise_rows


def dense(features, k1, k2):
    """The published procedure, sample by sample."""
    near = features @ features.T
    count = len(near)
    order = np.argsort(-(near + 2 * np.eye(count)), axis=1)

    def mutual_pairs(i, k):
        return {j for j in order[i, : k + 1] if i in order[j, : k + 1]}

    weights = np.zeros((count, count))
    for i in range(count):
        wide = mutual_pairs(i, k1)
        grown = set(wide)
        for j in wide:
            narrow = mutual_pairs(j, max(1, round(k1 / 2)))
            if len(narrow & wide) > 2 / 3 * len(narrow):
                grown |= narrow
        members = sorted(grown)
        weights[i, members] = np.exp(2 * near[i, members] - 2)
        weights[i] /= weights[i].sum()
    weights = weights[order[:, :k2]].mean(1)
    least = np.minimum(weights[:, None], weights[None]).sum(2)
    return least / (2 - least)


@pytest.fixture
def points():
    draw = np.random.default_rng(0)
    return normalise_rows(draw.normal(size=(12, 8))[np.arange(70) % 12] + 0.5 * draw.normal(size=(70, 8)))


@pytest.mark.parametrize(("k1", "k2"), [(12, 6), (8, 1), (5, 3), (1, 1)])
@pytest.mark.parametrize("triples", [50, 4_000_000])
def test_it_is_the_published_one_but_for_the_faintest_ties(points, k1, k2, triples, monkeypatch):
    monkeypatch.setattr(jaccard, "TRIPLES", triples)
    expected = dense(points, k1, k2)
    np.fill_diagonal(expected, 0)
    found = jaccard_similarity(points, k1=k1, k2=k2)
    faint = jaccard.MIN_SHARED / (2 - jaccard.MIN_SHARED)
    assert np.allclose(found.toarray(), np.where(expected >= faint, expected, 0), atol=1e-5)
    assert found.nnz > 0


def test_it_is_symmetric_sparse_and_at_most_one(points):
    found = jaccard_similarity(points)
    assert (found != found.T).nnz == 0
    assert 0 < found.nnz < 70 * 40
    assert 0 < found.data.min() <= found.data.max() <= 1
    assert not found.diagonal().any()


def test_identical_samples_are_tied_fully():
    twice = normalise_rows(np.repeat(np.random.default_rng(0).normal(size=(4, 16)), 3, axis=0))
    found = jaccard_similarity(twice, k1=2, k2=3).toarray()
    assert np.allclose(found[np.arange(0, 12, 3), np.arange(1, 12, 3)], 1, atol=1e-3)


def test_fewer_samples_than_neighbours():
    assert jaccard_similarity(np.eye(3, dtype=np.float32), k1=12, k2=6).shape == (3, 3)
