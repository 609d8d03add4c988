"""Every message leaves its rows and is let go; errors say what to do."""

import gc
import weakref
from types import SimpleNamespace

import pytest
from flwr.app import ConfigRecord, Error, Message, RecordDict
from flwr.client import NumPyClient
from flwr.client.mod import fixedclipping_mod
from flwr.clientapp import ClientApp
from flwr.common import FitIns, ndarrays_to_parameters
from flwr.compat.common.recorddict_compat import fitins_to_recorddict

import toy
from fedretina import __version__
from fedretina.errors import Corrupt, TooNew
from fedretina.flower import DomGrid, DomMod, exchange, failures, header
from fedretina.flower.sizes import error_size, message_size
from fedretina.ledger import totals
from fedretina.testing import LocalGrid


class Silent(LocalGrid):
    """Takes messages, keeps nothing, answers nothing; counts what was sent."""

    sent_bytes = 0

    def push_messages(self, messages):
        for message in messages:
            self.sent_bytes += message_size(message.content, "down")
            message.metadata.__dict__["_message_id"] = f"m{next(self.calls)}"
        return [message.metadata.message_id for message in messages]

    def pull_messages(self, message_ids):
        return []


class Catching(LocalGrid):
    """Turns what an app raises into an error reply, as Flower's nodes do."""

    def answer(self, message, number):
        try:
            return super().answer(message, number)
        except Exception as error:
            return Message(Error(2, f"{type(error)}:<'{error}'>"), reply_to=message)


def with_a_node_that_lost_its_models(folder):
    inner = LocalGrid(toy.app(DomMod(folder / "node")), 1)
    grid = DomGrid(inner, store=folder / "server")
    grid.send_and_receive([ask()])
    for file in (folder / "node").rglob("*"):
        if file.is_file():
            file.unlink()
    return inner, grid


@pytest.fixture
def clock(monkeypatch):
    now = SimpleNamespace(seconds=0.0)
    start = exchange.time.time()
    monkeypatch.setattr(exchange, "time", SimpleNamespace(time=lambda: start + now.seconds))
    return now


def rows(grid, direction=None):
    return [(row.direction, row.kind, row.error) for row in grid.ledger.rows if direction in (None, row.direction)]


def ask(node=100, ttl=None):
    content = RecordDict({"arrays": toy.record_of(toy.start()), "config": ConfigRecord({"server-round": 2})})
    return Message(content, node, "train", ttl=ttl)


@pytest.mark.parametrize("coded", [True, False])
def test_messages_whose_replies_nobody_pulls_leave_rows_and_are_let_go(tmp_path, clock, coded):
    inner = Silent(toy.app(), 1)
    grid = DomGrid(inner, *(() if coded else (None,)), store=tmp_path)
    model = toy.record_of(toy.start())
    for _ in range(1000):
        message = toy.ask(model, number=2)
        message.metadata.ttl = 600.0
        grid.push_messages([message])
    assert len(grid.ledger.rows) == 1000
    assert {row.direction for row in grid.ledger.rows} == {"down"}
    assert {row.round for row in grid.ledger.rows} == {2}
    assert totals(grid.ledger.rows).wire_down == inner.sent_bytes
    kept = [sent.message for sent in grid._exchange.waiting.values() if sent.message is not None]
    assert len(kept) == (1000 if coded else 0)  # only what may have to be coded in another way
    parts = [weakref.ref(each.content) for each in kept] + [weakref.ref(each.content["config"]) for each in kept]
    del kept
    clock.seconds = 700.0
    assert grid.pull_messages([message.metadata.message_id]) == []
    gc.collect()
    assert grid._exchange.waiting == grid._exchange.resent == {}
    assert not any(part() for part in parts)
    ends = [row for row in grid.ledger.rows if row.direction == "up"]
    assert {(row.kind, row.error, row.wire_bytes) for row in ends} == {("control", failures.EXPIRED, 0)}
    assert len(ends) == 1000
    assert totals(grid.ledger.rows).wire == inner.sent_bytes


def test_what_is_under_way_ends_with_its_own_time_to_live(tmp_path, clock):
    grid = DomGrid(Silent(toy.app(), 1), store=tmp_path)
    grid.push_messages([ask(ttl=10.0), ask(ttl=1000.0)])
    clock.seconds = 20.0
    grid.push_messages([])
    assert rows(grid, "up") == [("up", "control", failures.EXPIRED)]
    assert list(grid._exchange.waiting) == ["m1"]


def test_a_timeout_leaves_one_row_and_no_content(tmp_path, clock):
    grid = DomGrid(Silent(toy.app(), 1), store=tmp_path)
    assert grid.send_and_receive([ask(ttl=60.0)], timeout=0.01) == []
    assert [sent.message for sent in grid._exchange.waiting.values()] == [None]
    clock.seconds = 61.0
    grid.pull_messages([])
    assert not grid._exchange.waiting
    assert rows(grid) == [("down", "keyframe", ""), ("up", "control", failures.LATE)]


def test_a_late_reply_of_a_node_that_could_not_decode_is_a_failure(tmp_path):
    _, grid = with_a_node_that_lost_its_models(tmp_path)
    message = ask()
    assert grid.send_and_receive([message], timeout=0) == []
    (reply,) = grid.pull_messages([message.metadata.message_id])
    assert "could not decode" in reply.error.reason
    assert not grid._exchange.waiting


def test_a_message_that_is_sent_again_ends_when_the_first_would(tmp_path, clock):
    inner, grid = with_a_node_that_lost_its_models(tmp_path)
    message = ask(ttl=100.0)
    created = message.metadata.created_at
    (name,) = grid.push_messages([message])
    clock.seconds = 30.0
    assert grid.pull_messages([name]) == []
    last = inner.sent[-1].metadata
    assert last.created_at + last.ttl == pytest.approx(created + 100.0)
    assert last.created_at >= created + 29.0
    assert (message.metadata.created_at, message.metadata.ttl) == (created, 100.0)
    (reply,) = grid.pull_messages([name])
    assert reply.metadata.reply_to_message_id == name == message.metadata.message_id
    assert [row.error[:30] for row in grid.ledger.rows][2:] == ["", "the node could not decode arra", "", ""]


def test_a_push_that_fails_leaves_rows(tmp_path):
    class Broken(LocalGrid):
        def push_messages(self, messages):
            raise ConnectionError("no SuperLink")

    grid = DomGrid(Broken(toy.app(), 1), store=tmp_path)
    with pytest.raises(ConnectionError):
        grid.push_messages([ask()])
    assert rows(grid) == [("down", "control", "the push failed: ConnectionError('no SuperLink')")]
    assert not grid._exchange.waiting


def test_an_error_reply_leaves_its_bytes_and_those_of_the_superlink_none(tmp_path):
    class Gone(LocalGrid):
        def answer(self, message, number):
            reply = super().answer(message, number)
            reply.metadata.__dict__["_src_node_id"] = 1 if number == 1 else 100
            return reply

    grid = DomGrid(Gone(toy.app(), 1, failing=[0, 1]), None, store=tmp_path)
    grid.push_messages([ask()])
    replies = grid.pull_messages(["m0"])
    replies += grid.send_and_receive([ask()])
    ups = [row for row in grid.ledger.rows if row.direction == "up"]
    assert [row.wire_bytes for row in ups] == [error_size(replies[0]), 0]
    assert {(row.kind, row.error, row.raw_bytes) for row in ups} == {("control", "node is gone", 0)}


class Client(NumPyClient):
    def get_parameters(self, config):
        return []

    def fit(self, parameters, config):
        return parameters, 1, {}


@pytest.mark.parametrize("mods", [[], ["clipping", "dom"]], ids=["without dom_mod", "dom_mod last"])
def test_a_numpy_client_with_wrong_mods_reads_the_remedy(tmp_path, mods):
    made = {"clipping": fixedclipping_mod, "dom": DomMod(tmp_path / "node")}
    app = ClientApp(client_fn=lambda context: Client().to_client(), mods=[made[name] for name in mods])
    grid = DomGrid(Catching(app, 1), store=tmp_path)
    (reply,) = grid.send_and_receive([_legacy_fit()])
    assert "load it unsafely" in reply.error.reason  # what NumPy says of a payload
    assert failures.NEVER_ACKNOWLEDGED in reply.error.reason
    assert "mods=[dom_mod, ...]" in grid.ledger.rows[-1].error
    assert (reply.error.code, reply.metadata.src_node_id) == (2, 100)


def _legacy_fit():
    LocalGrid(toy.app(), 1)  # lets messages be made
    ins = FitIns(ndarrays_to_parameters(list(toy.start().values())), {"clipping_norm": 1.0})
    return Message(fitins_to_recorddict(ins, keep_input=True), 100, "train", group_id="1")


def failing_later(folder):
    """Give an app whose first training works and whose later ones fail."""
    calls = iter([False, True, True])

    def fail(message, context, call_next):
        if next(calls):
            raise RuntimeError("out of memory")
        return call_next(message, context)

    return toy.app(DomMod(folder), fail)


def test_a_node_that_acknowledged_gets_no_hint(tmp_path):
    grid = DomGrid(Catching(failing_later(tmp_path), 2), store=tmp_path)
    grid.send_and_receive([ask()])
    (known,) = grid.send_and_receive([ask()])
    (unknown,) = grid.send_and_receive([ask(node=101)])
    assert "dom_mod" not in known.error.reason
    assert "dom_mod" in unknown.error.reason


def test_an_uncoded_message_gets_no_hint(tmp_path):
    grid = DomGrid(Catching(toy.app(), 1, failing=[0]), None, store=tmp_path)
    (reply,) = grid.send_and_receive([ask()])
    assert reply.error.reason == "node is gone"


@pytest.mark.parametrize("error", [TooNew("protocol 9, from fedretina 7.0"), Corrupt("no protocol")])
def test_a_header_that_cannot_be_read_names_node_and_versions(tmp_path, monkeypatch, error):
    def read(record):
        raise error

    monkeypatch.setattr(header.UpHeader, "from_record", read)
    grid = DomGrid(LocalGrid(toy.app(DomMod(tmp_path)), 1), store=tmp_path)
    (reply,) = grid.send_and_receive([ask()])
    for part in ("node 100", str(error), f"fedretina {__version__}", "install the same version"):
        assert part in reply.error.reason
    assert rows(grid, "up") == [("up", "control", reply.error.reason)]
    assert totals(grid.ledger.rows).wire_up > 0
    assert reply.metadata.message_id == ""  # the toy grid's replies have none
    assert not grid._exchange.acknowledged


def test_a_node_that_cannot_read_the_servers_header_names_the_version(tmp_path, monkeypatch):
    def read(record):
        raise TooNew("protocol 9")

    monkeypatch.setattr(header.DownHeader, "from_record", read)
    grid = DomGrid(Catching(toy.app(DomMod(tmp_path)), 1), store=tmp_path)
    (reply,) = grid.send_and_receive([ask()])
    assert f"fedretina {__version__}" in reply.error.reason
    assert "FIRST" not in reply.error.reason
