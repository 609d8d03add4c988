"""What a run knows of its nodes."""

import pytest

from fedretina.errors import BadArgument
from fedretina.flower.nodes import NodeDirectory


def test_a_node_may_register_anew():
    nodes = NodeDirectory()
    nodes.register(7, domains=["duke"])
    nodes.register(7, domains=["market1501"], role="front-end")
    assert (nodes.label(7), nodes.role_of(7)) == ("market1501", "front-end")
    assert (nodes.host_of("duke"), nodes.host_of("market1501"), nodes.role_of(8)) == (None, 7, "edge")


def test_an_unknown_role_is_refused():
    with pytest.raises(BadArgument, match="allowed: edge, front-end"):
        NodeDirectory().register(7, domains=[], role="camera")
