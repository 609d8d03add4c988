import numpy as np

from fedretina.reuse.committee.unit_vectors import normalise_rows
from fedretina.reuse.committee.whitening import same_class_pairs, whiten

IDENTITY, GROUP = np.repeat(np.arange(60), 4), np.tile(np.arange(4), 60)
UNKNOWN = np.full(240, -1)


def scene(seed=0, nuisance=3.0):
    """Identities differ in all directions; images of one differ much more in five of them: a pose, say."""
    draw = np.random.default_rng(seed)
    spread = np.array([nuisance] * 5 + [0.5] * 27)
    return normalise_rows(draw.normal(size=(60, 32))[IDENTITY] + spread * draw.normal(size=(240, 32)))


def precision(features):
    """How often the nearest image shows the same."""
    near = features @ features.T
    np.fill_diagonal(near, -2)
    return (IDENTITY[near.argmax(1)] == IDENTITY).mean()


def test_it_finds_and_divides_away_what_images_of_one_identity_differ_in():
    raw, white = scene(), whiten(scene(), UNKNOWN, GROUP)
    assert precision(white) > precision(raw) + 0.2


def test_it_needs_no_groups():
    assert precision(whiten(scene(), UNKNOWN)) > precision(scene()) + 0.1


def test_labels_help():
    few = np.where(np.random.default_rng(0).random(240) < 0.5, IDENTITY, -1)
    hard = scene(nuisance=6.0)
    assert precision(whiten(hard, few, GROUP)) > precision(whiten(hard, UNKNOWN, GROUP))


def test_no_round_and_no_pair_change_nothing():
    features = scene()
    assert whiten(features, UNKNOWN, rounds=0) is features
    one_group = np.zeros(240, np.int64)
    assert whiten(features, UNKNOWN, one_group) is features


def test_full_shrinkage_is_no_metric_but_the_mean_is_gone():
    features = scene()
    assert np.allclose(whiten(features, UNKNOWN, GROUP, shrink=1.0), normalise_rows(features - features.mean(0)), atol=1e-5)


def test_pairs_of_one_class():
    labels = np.array([2, 0, 2, -1, 0, 2, 5])
    assert {tuple(p) for p in same_class_pairs(labels, 9).tolist()} == {(1, 4), (0, 2), (0, 5), (2, 5)}
    assert same_class_pairs(np.full(4, -1), 9).shape == (0, 2)


def test_a_large_class_has_few_pairs_and_stays_connected():
    pairs = same_class_pairs(np.zeros(500, np.int64), 3)
    assert len(pairs) == 1500
    assert (np.bincount(pairs.ravel()) == 6).all()
    assert len({tuple(sorted(p)) for p in pairs.tolist()}) == 1500
