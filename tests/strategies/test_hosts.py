import pytest

from fedretina.errors import BadArgument
from fedretina.strategies.peer_reuse.hosts import assign_hosts


def test_a_domain_that_no_node_hosts_is_named():
    with pytest.raises(BadArgument, match="no node hosts cuhk03: the nodes host duke"):
        assign_hosts(("duke", "cuhk03"), {7: ["duke"]})
