import numpy as np
import pytest
import torch

from fedretina.errors import BadArgument
from fedretina.reid import evaluate, evaluate_features, rerank


def published(query, gallery, k1, k2, weight):
    """The procedure as its authors publish it, on dense matrices."""
    both = np.concatenate([query, gallery]).astype(np.float64)
    squares = ((both[:, None] - both[None]) ** 2).sum(2)
    distance = squares / squares.max(1, keepdims=True)
    rank = np.argsort(distance, axis=1)
    count = len(both)
    encoded = np.zeros((count, count))
    for i in range(count):

        def reciprocal(j, k):
            forward = rank[j, : k + 1]
            return forward[(rank[forward, : k + 1] == j).any(1)]

        near = grown = reciprocal(i, k1)
        for candidate in near:
            others = reciprocal(candidate, round(k1 / 2))
            if len(np.intersect1d(others, near)) > 2 / 3 * len(others):
                grown = np.append(grown, others)
        grown = np.unique(grown)
        weights = np.exp(-distance[i, grown])
        encoded[i, grown] = weights / weights.sum()
    encoded = encoded[rank[:, :k2]].mean(1)
    least = np.minimum(encoded[:, None], encoded[None]).sum(2)
    jaccard = 1 - least / (2 - least)
    return ((1 - weight) * jaccard + weight * distance)[: len(query), len(query) :]


def scene(seed=0, noise=0.8):
    draw = np.random.default_rng(seed)
    looks = draw.normal(size=(15, 8))
    query_ids, gallery_ids = np.arange(15), np.repeat(np.arange(15), 6)
    features = [looks[ids] + noise * draw.normal(size=(len(ids), 8)) for ids in (query_ids, gallery_ids)]
    return *features, query_ids, gallery_ids


@pytest.mark.parametrize(("k1", "k2", "weight"), [(20, 6, 0.3), (8, 1, 0.0), (5, 3, 1.0)])
def test_it_is_the_published_procedure(k1, k2, weight):
    query, gallery, *_ = scene()
    found = rerank(torch.tensor(query), torch.tensor(gallery), k1=k1, k2=k2, weight=weight)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, published(query, gallery, k1, k2, weight), atol=2e-5)


def test_it_betters_a_ranking_of_clustered_photos():
    query, gallery, query_ids, gallery_ids = scene(noise=0.9)
    who = {
        "query_ids": query_ids, "query_cameras": np.zeros(15, int),
        "gallery_ids": gallery_ids, "gallery_cameras": np.ones(90, int),
    }  # fmt: skip
    plain = evaluate_features(torch.tensor(query), torch.tensor(gallery), **who)
    better = evaluate(rerank(torch.tensor(query), torch.tensor(gallery), k1=6, k2=3), **who)
    assert better.mAP > plain.mAP + 2


def test_few_photos_are_enough():
    assert rerank(torch.zeros(1, 2), torch.ones(2, 2)).shape == (1, 2)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"query": torch.zeros(2, 3)}, "features of shape"),
        ({"gallery": torch.zeros(0, 2)}, "features of shape"),
        ({"query": torch.full((1, 2), torch.nan)}, "diverged"),
        ({"k1": 0}, "k1 = 0"),
        ({"weight": 1.5}, "weight = 1.5"),
    ],
)
def test_what_does_not_fit_is_told(arguments, match):
    with pytest.raises(BadArgument, match=match):
        rerank(**{"query": torch.zeros(1, 2), "gallery": torch.ones(4, 2), **arguments})
