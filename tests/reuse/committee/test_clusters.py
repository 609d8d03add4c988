import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.cluster import DBSCAN

from fedretina.reuse.committee.clusters import add_new_classes, find_clusters


def graph(seed, density=0.06):
    draw = np.random.default_rng(seed)
    near = np.triu(draw.random((80, 80)) * (draw.random((80, 80)) < density), 1)
    return near + near.T


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("min_similarity", "min_samples"), [(0.5, 3), (0.3, 5), (0.8, 2)])
def test_cores_are_grouped_as_scikit_learn_does(seed, min_similarity, min_samples):
    near = graph(seed)
    reference = DBSCAN(eps=1 - min_similarity, min_samples=min_samples, metric="precomputed").fit(1 - near - np.eye(80))
    found = find_clusters(csr_matrix(near), min_similarity=min_similarity, min_samples=min_samples)
    assert np.array_equal(found == -1, reference.labels_ == -1)
    cores = reference.core_sample_indices_
    pairs = set(zip(found[cores].tolist(), reference.labels_[cores].tolist(), strict=True))
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


def test_a_border_sample_joins_its_nearest_core():
    near = np.zeros((7, 7))
    for i, j, value in [(0, 1, 0.9), (0, 2, 0.9), (1, 2, 0.9), (3, 4, 0.9), (3, 5, 0.9), (4, 5, 0.9)]:
        near[i, j] = near[j, i] = value
    near[6, 0] = near[0, 6] = 0.6
    near[6, 3] = near[3, 6] = 0.7
    found = find_clusters(csr_matrix(near), min_samples=4)
    assert found[6] == found[3] != found[0]


def test_nothing_near_is_no_cluster():
    assert (find_clusters(csr_matrix((5, 5))) == -1).all()


def test_a_cluster_with_a_labelled_member_is_not_new():
    near = csr_matrix(np.kron(np.eye(3), 0.9 * (1 - np.eye(3))))
    labels = np.full(9, -1)
    labels[[0, 1]] = 4
    assert add_new_classes(near, labels).tolist() == [4, 4, -1, 5, 5, 5, 6, 6, 6]
    assert labels[3] == -1
    assert add_new_classes(near, np.full(9, -1)).tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
