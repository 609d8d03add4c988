import pytest
from flwr.app import Error, Message
from flwr.clientapp import ClientApp

from fedretina.errors import BadArgument, FedRetinaError
from fedretina.strategies import hosted_domains
from fedretina.strategies.peer_reuse import hosts
from fedretina.strategies.peer_reuse.hosts import assign_hosts, find_hosts
from fedretina.testing import LocalGrid


class Returning(LocalGrid):
    """A grid whose last node is gone for the first `silent` questions: the SuperLink answers for it, as node 1."""

    def __init__(self, silent, *, source=1):
        app = ClientApp()
        app.query("domains")(hosted_domains)
        super().__init__(app, 2)
        self.silent, self.source = silent, source
        for node, domain in zip(self.contexts, ("duke", "cuhk03"), strict=True):
            self.contexts[node].node_config["domains"] = domain

    def answer(self, message, number):
        if message.metadata.dst_node_id == 101 and self.silent:
            self.silent -= 1
            reply = Message(Error(3, "node is unavailable"), reply_to=message)
            reply.metadata.__dict__["_src_node_id"] = self.source
            return reply
        return super().answer(message, number)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(hosts.time, "sleep", lambda _: None)


def test_a_node_that_was_killed_is_waited_for(caplog):
    grid = Returning(silent=2)
    assert find_hosts(grid, ("duke", "cuhk03"), seconds=60).domains == {"duke": 100, "cuhk03": 101}
    assert caplog.text.count("the nodes 101 do not answer") == 2


def test_a_node_that_is_not_listed_for_a_while_is_waited_for():
    """The SuperLink lists a killed node for a minute, then no longer, until its next life."""
    grid = Returning(silent=1)
    lists = iter([[100, 101], [100], [100], [100, 101]])
    grid.get_node_ids = lambda: next(lists)
    assert find_hosts(grid, ("duke", "cuhk03"), seconds=60).domains == {"duke": 100, "cuhk03": 101}
    assert next(lists, None) is None


def test_nobody_waits_for_a_node_without_a_domain_of_the_run():
    grid = Returning(silent=9)
    assert find_hosts(grid, ("duke",), seconds=60).domains == {"duke": 100}
    assert grid.silent == 8


def test_a_node_that_stays_away_ends_the_run():
    with pytest.raises(BadArgument, match=r"no node hosts cuhk03: the nodes host duke; .* or give the nodes 101 more time"):
        find_hosts(Returning(silent=10**9), ("duke", "cuhk03"), seconds=0)


def test_an_app_that_fails_ends_the_run_at_once():
    with pytest.raises(FedRetinaError, match="node is unavailable"):
        find_hosts(Returning(silent=1, source=101), ("duke", "cuhk03"), seconds=60)


def test_a_domain_that_no_node_hosts_is_named():
    with pytest.raises(BadArgument, match="no node hosts cuhk03: the nodes host duke"):
        assign_hosts(("duke", "cuhk03"), {7: ["duke"]})
