"""Scores of features: what the papers define, computed in another way."""

import numpy as np
import pytest
from scipy.optimize import minimize

from fedretina.errors import BadArgument
from fedretina.strategies.selection import h_score, log_evidence


def samples(separation, count=80, dimensions=6, classes=4, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    return rng.normal(size=(count, dimensions)) + separation * np.eye(classes, dimensions)[labels], labels


def evidence_by_definition(features, wanted):
    """Maximise log N(wanted; 0, F F^T / alpha + I / beta) over alpha and beta."""

    def negative(logs):
        alpha, beta = np.exp(logs)
        covariance = features @ features.T / alpha + np.eye(len(wanted)) / beta
        _, determinant = np.linalg.slogdet(covariance)
        return 0.5 * (determinant + wanted @ np.linalg.solve(covariance, wanted) + len(wanted) * np.log(2 * np.pi))

    return -minimize(negative, np.zeros(2), method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-10}).fun / len(wanted)


@pytest.mark.parametrize(("separation", "dimensions"), [(2.0, 6), (0.5, 6), (1.0, 100)])
def test_log_evidence_is_the_largest_likelihood_of_the_labels(separation, dimensions):
    features, labels = samples(separation, dimensions=dimensions)
    wanted = np.mean([evidence_by_definition(features, (labels == label).astype(float)) for label in range(4)])
    assert log_evidence(features, labels) == pytest.approx(wanted, abs=1e-4)


def test_h_score_by_definition():
    features, labels = samples(1.0)
    means = np.stack([features[labels == label].mean(axis=0) for label in labels])
    wanted = np.trace(np.linalg.inv(np.cov(features.T, bias=True)) @ np.cov(means.T, bias=True))
    assert h_score(features, labels) == pytest.approx(wanted)


@pytest.mark.parametrize("score", [log_evidence, h_score])
def test_features_that_tell_the_classes_apart_score_higher(score):
    scores = [score(*samples(separation)) for separation in (0.0, 0.5, 1.0, 2.0, 4.0)]
    assert scores == sorted(scores)


@pytest.mark.parametrize("score", [log_evidence, h_score])
def test_labels_may_be_words_and_scale_does_not_matter(score):
    features, labels = samples(1.0)
    words = np.array(["a", "b", "c", "d"])[labels]
    assert score(features * 7.0, words) == pytest.approx(score(features, labels), abs=1e-4)


@pytest.mark.parametrize("score", [log_evidence, h_score])
def test_bad_input_is_refused(score):
    features, labels = samples(1.0)
    with pytest.raises(BadArgument, match="give \\(samples, dimensions\\) and \\(samples,\\)"):
        score(features, labels[1:])
    with pytest.raises(BadArgument, match="NaN or infinite"):
        score(np.where(np.arange(6) == 2, np.nan, features), labels)
    with pytest.raises(BadArgument, match="all samples have one class"):
        score(features, np.zeros(len(labels)))
