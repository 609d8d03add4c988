"""What Flower's own grids promise, asserted on them and on DomGrid over each of them.

The SuperLink is Flower's, in this process: its state in memory, and the functions that answer HTTP requests.
"""

import re
import secrets
from copy import copy
from types import SimpleNamespace

import flwr.supercore.task_identity as identity
import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Error, Message, RecordDict
from flwr.app.message import remove_content_from_message
from flwr.common.constant import HEARTBEAT_INTERVAL_INF, NOOP_ACCOUNT_NAME, NOOP_FLWR_AID, ErrorCode
from flwr.server.superlink.linkstate import LinkStateFactory
from flwr.supercore.constant import FLWR_IN_MEMORY_DB_NAME, NOOP_FEDERATION_ID, TaskType
from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects, get_object_tree, iterate_object_tree
from flwr.supercore.inflatable.inflatable_utils import inflate_object_from_contents
from flwr.supercore.object_store import ObjectStoreFactory
from flwr.superlink.federation import NoOpFederationManager
from flwr.superlink.grid import http_grid, inmemory_grid
from flwr.superlink.servicer.runtime import runtime_handlers

import toy
from fedretina.dom import DomConfig
from fedretina.flower import DomGrid, DomMod, grid
from fedretina.testing import FakeClock

SERVER = 1
SIDES = ["memory", "http", "dom over memory", "dom over http"]
KEPT = ("run_id", "src_node_id", "dst_node_id", "reply_to_message_id", "group_id", "created_at", "ttl", "message_type")
TASKS = ("src_task_id", "dst_task_id")


class RuntimeClient:
    """Stands in for the HTTP client: each call goes to the function that answers it in a SuperLink."""

    def __init__(self, state, run_id):
        self.state, self.task = state, SimpleNamespace(run_id=run_id)

    def __getattr__(self, name):
        handler = getattr(runtime_handlers, re.sub("(?<!^)(?=[A-Z])", "_", name).lower())
        return lambda request: handler(request, self.state, self.task)


class SuperLink:
    """Two nodes that run an app. They answer when the server pulls, unless they are `silent`."""

    def __init__(self, app, over):
        factory = LinkStateFactory(FLWR_IN_MEMORY_DB_NAME, NoOpFederationManager(), ObjectStoreFactory())
        self.app, self.over, self.state = app, over, factory.state()
        self.run_id = self.state.create_run(
            None, None, None, {}, NOOP_FEDERATION_ID, None, NOOP_FLWR_AID, TaskType.SERVER_APP
        )
        identity.TaskIdentity.run_id, identity.TaskIdentity.node_id, identity.TaskIdentity.task_id = self.run_id, SERVER, 7
        self.nodes = [self._node() for _ in range(2)]
        self.contexts = {
            node: Context(self.run_id, node, {"partition-id": i}, RecordDict(), {}) for i, node in enumerate(self.nodes)
        }
        self.silent, self.received = False, []
        self.grid = self._grid(factory)
        self.grid.set_run(self.state.get_run_info(run_ids=[self.run_id])[0])

    def _node(self):
        node = self.state.create_node(NOOP_FLWR_AID, NOOP_ACCOUNT_NAME, secrets.token_bytes(32), HEARTBEAT_INTERVAL_INF)
        self.state.acknowledge_node_heartbeat(node, HEARTBEAT_INTERVAL_INF)
        return node

    def _grid(self, factory):
        if self.over == "memory":
            made = inmemory_grid.InMemoryGrid(factory)
        else:
            made = http_grid.HttpGrid(token="any")
            made._client = RuntimeClient(self.state, self.run_id)
        pull = made.pull_messages

        def answer_and_pull(message_ids):
            if not self.silent:
                self.answer()
            return pull(message_ids)

        made.pull_messages = answer_and_pull
        return made

    def answer(self):
        for node in self.nodes:
            for message in self.state.get_message_ins(node, None):
                whole = message if self.over == "memory" else self._inflated(message.metadata.message_id)
                self.received.append((vars(whole.metadata).copy(), whole.content))
                self._store(self._reply(whole, node))

    def _reply(self, message, node):
        given = Message(RecordDict(dict(message.content.items())), metadata=copy(message.metadata))
        try:
            return self.app(given, self.contexts[node])
        except Exception as error:
            return Message(Error(ErrorCode.CLIENT_APP_RAISED_EXCEPTION, f"{type(error)}:<'{error}'>"), reply_to=message)

    def _inflated(self, message_id):
        tree = self.state.object_store.get_object_tree(message_id)
        contents = {t.object_id: self.state.object_store.get(t.object_id) for t in iterate_object_tree(tree)}
        whole = inflate_object_from_contents(message_id, contents)
        whole.metadata.__dict__["_message_id"] = message_id
        return whole

    def _store(self, reply):
        reply.metadata.__dict__["_message_id"] = reply.object_id
        if self.over == "memory":
            self.state.store_message_res(reply)
            return
        session = self.state.start_session(self.run_id)
        stored, _ = self.state.store_message_and_object_tree(
            remove_content_from_message(reply), get_object_tree(reply), session
        )
        assert stored
        for name, part in get_all_nested_objects(reply).items():
            self.state.store_object(self.run_id, session, name, part.deflate())


@pytest.fixture(params=SIDES)
def side(request, tmp_path, monkeypatch):
    """One of Flower's grids, or a DomGrid over it; `dom` and `over` tell which."""
    for module in (grid, inmemory_grid, http_grid):
        clock = FakeClock()
        monkeypatch.setattr(
            module, "time", SimpleNamespace(sleep=clock.sleep, time=clock.monotonic, monotonic=clock.monotonic)
        )
    dom, over = "dom" in request.param, "memory" if "memory" in request.param else "http"
    link = SuperLink(toy.app(DomMod(tmp_path)), over)
    used = DomGrid(link.grid, DomConfig(lossless=True), store=tmp_path / "server") if dom else link.grid
    return SimpleNamespace(grid=used, link=link, nodes=link.nodes, dom=dom, over=over)


def asks(side, **options):
    model = toy.record_of(toy.start())  # one record for all nodes, as strategies have it
    content = RecordDict({"arrays": model, "config": ConfigRecord({"server-round": 3})})
    return [Message(content, node, "train", group_id="3", **options) for node in side.nodes]


def told(metadata):
    return {name: getattr(metadata, name) for name in (*KEPT, *TASKS)}


def by_id(replies):
    return {reply.metadata.reply_to_message_id: reply for reply in replies}


def test_a_push_returns_the_ids_in_order_and_sets_them_on_the_messages(side):
    messages = asks(side)
    ids = list(side.grid.push_messages(messages))
    assert ids == [message.metadata.message_id for message in messages]
    assert len(set(ids)) == 2
    assert all(ids)


def test_a_push_changes_nothing_else_in_the_messages(side):
    messages = asks(side)
    before = [(told(message.metadata), message.content.object_id) for message in messages]
    side.grid.push_messages(messages)
    assert [(told(message.metadata), message.content.object_id) for message in messages] == before


def test_the_node_gets_the_metadata_that_the_message_was_made_with(side):
    messages = asks(side, ttl=100.0, dst_task_id=9)
    side.grid.push_messages(messages)
    side.link.answer()
    got = {metadata["_message_id"]: metadata for metadata, _ in side.link.received}
    for message in messages:
        metadata = got[message.metadata.message_id]
        assert {name: metadata[f"_{name}"] for name in (*KEPT, *TASKS)} == told(message.metadata)
        assert metadata["_src_node_id"] == SERVER
        assert (metadata["_ttl"], metadata["_dst_task_id"]) == (100.0, 9)


def test_replies_name_their_message_and_its_node(side):
    messages = asks(side)
    replies = side.grid.send_and_receive(messages)
    assert isinstance(replies, list)
    replies = by_id(replies)
    for message in messages:
        metadata = replies.pop(message.metadata.message_id).metadata
        assert (metadata.src_node_id, metadata.dst_node_id) == (message.metadata.dst_node_id, SERVER)
        for name in ("run_id", "group_id", "message_type"):
            assert getattr(metadata, name) == getattr(message.metadata, name)
        assert metadata.message_id
        assert metadata.created_at + metadata.ttl == pytest.approx(message.metadata.created_at + message.metadata.ttl)
    assert not replies


def test_push_then_pull_is_as_good(side):
    ids = side.grid.push_messages(asks(side))
    replies = by_id(side.grid.pull_messages(iter(ids)))
    assert set(replies) == set(ids)
    assert all(reply.content.array_records["arrays"]["w"].numpy().shape == (32, 64) for reply in replies.values())


def test_nothing_has_no_replies(side):
    assert side.grid.push_messages([]) == []
    assert side.grid.pull_messages([]) == []
    assert side.grid.send_and_receive([]) == []


def test_messages_may_come_from_a_generator(side):
    messages = asks(side)
    if side.over == "http" and not side.dom:  # it reads the generator twice
        with pytest.raises(ValueError, match="must not be empty"):
            side.grid.send_and_receive(message for message in messages)
        return
    replies = by_id(side.grid.send_and_receive(message for message in messages))
    assert set(replies) == {message.metadata.message_id for message in messages}


def test_an_unknown_id_gets_an_error(side):
    (reply,) = side.grid.pull_messages(["nobody"])
    assert reply.error.code == ErrorCode.MESSAGE_UNAVAILABLE
    assert (reply.metadata.reply_to_message_id, reply.metadata.src_node_id) == ("nobody", SERVER)


def test_a_reply_is_pulled_once(side):
    (name, _) = side.grid.push_messages(asks(side))
    (first,) = side.grid.pull_messages([name, name])
    (second,) = side.grid.pull_messages([name])
    assert first.has_content()
    assert second.error.code == ErrorCode.MESSAGE_UNAVAILABLE
    assert second.metadata.reply_to_message_id == name


def test_a_pull_before_the_reply_is_empty(side):
    ids = side.grid.push_messages(asks(side))
    side.link.silent = True
    assert side.grid.pull_messages(ids) == []
    side.link.silent = False
    assert len(side.grid.pull_messages(ids)) == 2


def test_a_message_to_an_unknown_node_is_rejected_and_the_others_go(side):
    messages = asks(side)
    messages[0].metadata.dst_node_id = 12345
    ids = side.grid.push_messages(messages)
    assert ids == ([] if side.over == "memory" else [""]) + [messages[1].metadata.message_id]
    assert messages[0].metadata.message_id
    (reply,) = side.grid.pull_messages([name for name in ids if name])
    assert reply.has_content()


def test_a_message_whose_time_is_over_is_not_taken(side):
    (message, _) = asks(side, ttl=1.0)
    message.metadata.created_at -= 2.0
    if side.over == "memory":
        assert side.grid.push_messages([message]) == []
    else:
        with pytest.raises(ValueError, match="TTL has expired"):
            side.grid.push_messages([message])


def test_a_message_without_time_is_refused(side):
    (message, _) = asks(side)
    message.metadata.ttl = 0
    with pytest.raises(ValueError, match="Invalid message"):
        side.grid.push_messages([message])


def test_a_reply_is_no_message(side):
    (reply, _) = side.grid.send_and_receive(asks(side))
    with pytest.raises(ValueError, match=r"Invalid message|MUST not be set"):
        side.grid.push_messages([reply])


def test_a_message_may_be_pushed_twice_at_once(side):
    (message, _) = asks(side)
    ids = side.grid.push_messages([message, message])
    assert len(ids) == 2
    assert message.metadata.message_id == ids[1]
    replies = list(side.grid.pull_messages(ids))
    assert any(reply.metadata.reply_to_message_id == ids[1] and reply.has_content() for reply in replies)
    if side.dom:
        rows = side.grid.ledger.rows
        assert [row.direction for row in rows].count("down") == len(set(ids)) == len(replies)


def test_a_message_may_be_sent_again(side):
    (message, _) = asks(side)
    side.grid.send_and_receive([message])
    if side.over == "memory" and not side.dom:  # it marks the caller's message as delivered
        with pytest.raises(ValueError, match="Invalid message"):
            side.grid.send_and_receive([message])
        return
    (reply,) = side.grid.send_and_receive([message])
    assert reply.metadata.reply_to_message_id == message.metadata.message_id


def test_after_the_timeout_a_late_reply_can_be_pulled(side):
    side.link.silent = True
    messages = asks(side)
    assert side.grid.send_and_receive(messages, timeout=1) == []
    side.link.silent = False
    replies = by_id(side.grid.pull_messages([message.metadata.message_id for message in messages]))
    assert set(replies) == {message.metadata.message_id for message in messages}
    assert all(reply.content.array_records["arrays"]["w"].numpy().size for reply in replies.values())
    if side.dom:
        ups = [row for row in side.grid.ledger.rows if row.direction == "up"]
        assert [(row.kind, row.error) for row in ups] == [("control", "no reply in time")] * 2 + [("delta", "")] * 2


def test_a_timeout_of_zero_asks_for_nothing(side):
    assert side.grid.send_and_receive(asks(side), timeout=0) == []
    assert side.link.received == []


def test_a_nodes_error_keeps_its_code_and_names_its_message(side):
    def breaks(message, context):
        raise RuntimeError("out of memory")

    (message, _) = asks(side)
    side.link.app = breaks
    (reply,) = side.grid.send_and_receive([message])
    assert reply.error.code == ErrorCode.CLIENT_APP_RAISED_EXCEPTION
    assert "out of memory" in reply.error.reason
    assert reply.metadata.src_node_id == message.metadata.dst_node_id
    assert reply.metadata.reply_to_message_id == message.metadata.message_id
    assert reply.metadata.message_id


def test_the_caller_may_change_the_content_after_the_push(side):
    """Flower's grid in memory keeps the caller's records until the node has them; all others have copies."""
    (message, _) = asks(side)
    side.grid.push_messages([message])
    message.content["config"]["server-round"] = 4
    message.content["arrays"]["w"] = Array(np.zeros(1, np.float32))
    message.content["more"] = ArrayRecord()
    side.link.answer()
    ((_, content),) = side.link.received
    shared = side.over == "memory" and not side.dom
    assert content["config"]["server-round"] == (4 if shared else 3)
    assert ("more" in content) == shared


def test_the_rest_is_passed_on(side):
    assert set(side.grid.get_node_ids()) == set(side.nodes)
    assert {node.node_id for node in side.grid.get_nodes()} == set(side.nodes)
    assert side.grid.run.run_id == side.link.run_id
    with pytest.raises(TypeError, match="must be an instance of Run"):
        side.grid.set_run("a run")
    message = side.grid.create_message(RecordDict(), "query", side.nodes[0], "5", ttl=9.0)
    assert (message.metadata.group_id, message.metadata.ttl, message.metadata.run_id) == ("5", 9.0, side.link.run_id)
