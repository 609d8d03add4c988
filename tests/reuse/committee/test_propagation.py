import numpy as np
import pytest
from scipy.sparse import csr_matrix

from fedretina.reuse.committee import propagation
from fedretina.reuse.committee.propagation import constrain, propagate


def dense(graph, seeds, damping):
    degrees = graph.sum(1)
    root = np.where(degrees > 0, 1 / np.sqrt(np.where(degrees > 0, degrees, 1)), 0)
    y = (seeds[:, None] == np.unique(seeds[seeds >= 0])).astype(float)
    z = np.linalg.solve(np.eye(len(graph)) - damping * root[:, None] * graph * root, y) / y.sum(0)
    z.sort(axis=1)
    return z[:, -1] - z[:, -2]


@pytest.fixture
def case():
    draw = np.random.default_rng(0)
    graph = draw.random((60, 60)) * (draw.random((60, 60)) < 0.15)
    graph = np.triu(graph, 1) + np.triu(graph, 1).T
    graph[59] = graph[:, 59] = 0
    return graph, np.where(draw.random(60) < 0.4, draw.integers(0, 6, 60) * 3, -1)


@pytest.mark.parametrize("damping", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("columns", [1, 4, 256])
def test_the_scores_are_the_solution_of_the_linear_system(case, damping, columns, monkeypatch):
    monkeypatch.setattr(propagation, "COLUMNS", columns)
    graph, seeds = case
    votes = propagate(csr_matrix(graph), seeds, damping=damping)
    assert np.allclose(votes.confidence, dense(graph, seeds, damping), atol=2e-4)
    assert set(votes.labels[:59]) <= set(seeds[seeds >= 0])


def test_the_number_of_columns_at_a_time_changes_no_label(case, monkeypatch):
    graph, seeds = case
    whole = propagate(csr_matrix(graph), seeds)
    monkeypatch.setattr(propagation, "COLUMNS", 2)
    assert np.array_equal(propagate(csr_matrix(graph), seeds).labels, whole.labels)


def test_a_sample_without_neighbours_gets_no_class(case):
    graph, seeds = case
    seeds[59] = -1
    votes = propagate(csr_matrix(graph), seeds)
    assert votes.labels[59] == -1
    assert votes.confidence[59] == 0


def test_a_class_does_not_win_by_its_number_of_seeds():
    middle = np.zeros((8, 8))
    middle[0, 1:] = middle[1:, 0] = 1
    middle[0, 7] = middle[7, 0] = 2
    seeds = np.array([-1, 0, 0, 0, 0, 0, 0, 1])
    assert propagate(csr_matrix(middle), seeds).labels[0] == 1


def test_without_seeds_there_are_no_votes(case):
    votes = propagate(csr_matrix(case[0]), np.full(60, -1))
    assert (votes.labels == -1).all()
    assert not votes.confidence.any()


def test_constraints_hold_both_ways(case):
    graph, seeds = case
    tied = constrain(csr_matrix(graph), seeds).toarray()
    known = seeds >= 0
    both = known[:, None] & known
    same = seeds[:, None] == seeds
    assert not tied[both & ~same].any()
    assert (tied[both & same & ~np.eye(60, dtype=bool)] == 1).all()
    assert np.array_equal(tied[~both], graph[~both])
    assert np.array_equal(tied, tied.T)
