"""Which peers a target gets: sketches, scores, policies, budgets."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from fedretina.errors import BadArgument
from fedretina.strategies.selection import POLICIES, Evidence, choose, h_score, logme, rank, sketch, sketch_distance

NAMES = ["mill", "port", "park", "fair"]
SIZES = dict.fromkeys(NAMES, 100)


def labelled(seed=0, samples=40, dimensions=5, classes=3, signal=1.0):
    rng = np.random.default_rng(seed)
    labels = np.arange(samples) % classes
    return rng.normal(size=(samples, dimensions)) + signal * np.eye(classes, dimensions)[labels], labels


@pytest.mark.parametrize("dimensions", [3, 60])
def test_logme_is_the_largest_evidence_of_the_linear_model(dimensions):
    """Checked without the fixed point: y ~ N(0, F F' / alpha + I / beta), maximised by Nelder and Mead."""
    features, labels = labelled(dimensions=dimensions)

    def log_evidence(logs, target):
        alpha, beta = np.exp(logs)
        covariance = features @ features.T / alpha + np.eye(len(target)) / beta
        return multivariate_normal(np.zeros(len(target)), covariance).logpdf(target)

    best = []
    for label in range(3):
        target = (labels == label).astype(float)
        found = minimize(lambda logs, y=target: -log_evidence(logs, y), [0.0, 0.0], method="Nelder-Mead", tol=1e-9)
        best.append(-found.fun / len(target))
    assert logme(features, labels) == pytest.approx(np.mean(best), abs=2e-4)


def test_logme_and_h_score_prefer_features_that_tell_classes_apart():
    for measure in (logme, h_score):
        scores = [measure(*labelled(signal=signal)) for signal in (0, 1, 3)]
        assert scores == sorted(scores)


def test_h_score_of_labels_themselves_is_the_number_of_classes_minus_one():
    labels = np.arange(30) % 5
    assert h_score(np.eye(5)[labels], labels) == pytest.approx(4)


@pytest.mark.parametrize("measure", [logme, h_score])
@pytest.mark.parametrize(
    ("features", "labels", "message"),
    [([[1.0]], [0], "two"), ([[1.0], [2.0]], [0], "shape|labels"), ([[np.nan], [2.0]], [0, 1], "finite")],
)
def test_scores_refuse_what_they_cannot_measure(measure, features, labels, message):
    with pytest.raises(BadArgument, match=message):
        measure(features, labels)


def test_a_sketch_is_small_and_tells_subspaces_apart():
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.normal(size=(32, 6)))[0]
    one, same, other = (
        sketch(rng.normal(size=(50, 3)) @ part.T + 0.01 * rng.normal(size=(50, 32)))
        for part in (basis[:, :3], basis[:, :3], basis[:, 3:])
    )
    assert sum(camera.nbytes for camera in one) == 192
    assert sketch_distance(one, same) < 2
    assert sketch_distance(one, other) > 85
    assert sketch_distance(one, other) == pytest.approx(sketch_distance(other, one))


def test_each_camera_has_its_own_directions():
    features = np.diag([5.0, 5.0, 4.0, 4.0])[[0, 0, 1, 1]]
    cameras = sketch(features, directions=1, groups=[7, 7, 9, 9])
    assert len(cameras) == 2
    assert sketch_distance(cameras, cameras[1:]) == 0
    assert sketch_distance(cameras[:1], cameras[1:]) == 90


@pytest.mark.parametrize(("features", "directions"), [([[]], 1), ([1.0], 1), ([[np.inf]], 1), ([[1.0]], 0), ([[1.0]], 2)])
def test_a_sketch_needs_features(features, directions):
    with pytest.raises(BadArgument):
        sketch(features, directions=directions)


def test_a_sketch_of_few_samples_is_padded():
    assert sketch([[1.0, 0.0, 0.0, 0.0]], directions=3)[0].shape == (4, 3)


@pytest.mark.parametrize("policy", POLICIES)
def test_the_budget_holds_under_every_policy(policy):
    evidence = Evidence(sizes={name: 100 + 50 * i for i, name in enumerate(NAMES)}, gains=dict.fromkeys(NAMES, 1.0))
    for budget in (0, 99, 100, 260, 10_000):
        peers = choose("dock", NAMES, evidence, budget, policy=policy)
        assert sum(evidence.sizes[name] for name in peers) <= budget
        assert len(set(peers)) == len(peers)
    assert set(choose("dock", NAMES, evidence, None, policy=policy)) == set(NAMES)


def test_policies_rank_by_their_own_evidence():
    sketches = {name: sketch([vector], directions=1) for name, vector in zip(
        ["dock", *NAMES], [[1, 0, 0], [0, 1, 0], [1, 0.1, 0], [1, 1, 0], [0, 0, 1]], strict=True
    )}  # fmt: skip
    evidence = Evidence(
        sizes=SIZES,
        sketches=sketches,
        scores={"mill": [1.0], "park": [3.0, 5.0]},
        risks={"mill": [0.1], "fair": [0.9, 0.7]},
        gains={"mill": 1, "port": 2, "park": 3, "fair": 4},
    )
    assert rank("dock", NAMES, evidence, policy="all") == NAMES
    assert rank("dock", NAMES, evidence, policy="nearest")[:2] == ["port", "park"]
    assert rank("dock", NAMES, evidence, policy="score") == ["park", "port", "mill", "fair"]
    assert rank("dock", NAMES, evidence, policy="bound") == ["mill", "port", "fair", "park"]
    assert rank("dock", NAMES, evidence, policy="oracle") == NAMES[::-1]


def test_random_follows_from_the_seed():
    names = [f"d{i}" for i in range(20)]
    orders = [rank("dock", names, Evidence(sizes={}, seed=seed), policy="random") for seed in (1, 1, 2)]
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0]) == sorted(names)


@pytest.mark.parametrize(
    ("evidence", "budget", "policy", "message"),
    [
        (Evidence(sizes={}), 1, "all", "sizes of mill"),
        (Evidence(sizes=SIZES), -1, "all", "budget"),
        (Evidence(sizes=SIZES), 1, "best", "policy"),
        (Evidence(sizes=SIZES), 1, "oracle", "true gains"),
    ],
)
def test_errors_name_what_is_missing(evidence, budget, policy, message):
    with pytest.raises(BadArgument, match=message):
        choose("dock", NAMES, evidence, budget, policy=policy)
