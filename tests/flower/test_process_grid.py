"""Nodes in a pool of processes. The end-to-end test of city_scale runs them."""

import pytest

from fedretina.errors import BadArgument
from fedretina.flower import ProcessGrid


@pytest.mark.parametrize(("nodes", "processes"), [(0, 1), (1, 0)])
def test_numbers_must_be_positive(nodes, processes):
    with pytest.raises(BadArgument, match="1 or more"):
        ProcessGrid("client_app:app", nodes, processes=processes)


def test_a_node_has_its_own_context():
    with ProcessGrid("client_app:app", 3, processes=1) as grid:
        assert grid.get_node_ids() == [100, 101, 102]
        assert list(grid.pull_messages(["m7"])) == []
