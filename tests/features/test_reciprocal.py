"""The graphs of k-reciprocal encoding."""

import numpy as np
from scipy.sparse import csr_matrix

from fedretina.features.reciprocal import expand_neighbours, neighbour_graph, reciprocal_edges


def test_only_neighbours_who_name_each_other_stay():
    graph = reciprocal_edges(neighbour_graph(np.array([[0, 1], [1, 0], [2, 1]])))
    assert graph.toarray().tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 1]]


def test_a_neighbour_brings_its_own_where_most_of_them_are_known():
    wide = csr_matrix(np.array([[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 1], [0, 0, 1, 1]], np.float32))
    narrow = csr_matrix(np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]], np.float32))
    found = expand_neighbours(wide, narrow).toarray() > 0
    assert found.tolist() == [[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 1], [0, 0, 1, 1]]
    all_known = expand_neighbours(csr_matrix(np.ones((4, 4), np.float32)), narrow).toarray() > 0
    assert all_known.all()
