import numpy as np
import pytest

from fedretina.reuse.committee import neighbours
from fedretina.reuse.committee.neighbours import mutual_pairs, nearest_neighbours
from fedretina.reuse.committee.unit_vectors import normalise_rows


@pytest.fixture
def points():
    return normalise_rows(np.random.default_rng(0).normal(size=(50, 6)))


@pytest.mark.parametrize("block", [7, 1024])
def test_they_are_those_of_the_whole_matrix(points, block, monkeypatch):
    monkeypatch.setattr(neighbours, "BLOCK", block)
    near = points @ points.T
    np.fill_diagonal(near, -2)
    assert np.array_equal(nearest_neighbours(points, 5), np.argsort(-near, axis=1)[:, :5])


def test_only_other_groups_count(points):
    groups = np.arange(50) % 3
    found = nearest_neighbours(points, 4, groups=groups)
    assert (groups[found] != groups[:, None]).all()


def test_too_few_others_are_told(points):
    groups = np.array([0] * 48 + [1] * 2)
    found = nearest_neighbours(points, 3, groups=groups)
    assert (found[:48, 2] == -1).all()
    assert (found[48:] >= 0).all()
    assert nearest_neighbours(points[:2], 9).tolist() == [[1], [0]]


def test_mutual_pairs_name_each_other(points):
    found = nearest_neighbours(points, 2, groups=np.arange(50) % 2)
    pairs = {tuple(pair) for pair in mutual_pairs(found).tolist()}
    slow = {(i, j) for i in range(50) for j in range(i + 1, 50) if j in found[i] and i in found[j]}
    assert pairs == slow
    assert pairs
