"""Statements and payloads of signed streams: wherever a power cut comes, the next start goes on without a refusal."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from flwr.app import ConfigRecord, Message, RecordDict
from flwr.clientapp import ClientApp

from fedretina.errors import BadArgument, Corrupt
from fedretina.flower import DomGrid, DomMod
from fedretina.flower.statements import FILE, KEEP, StatementLog
from small_city import DOMAINS, City, record


def test_they_survive_a_restart(tmp_path):
    log = StatementLog(tmp_path)
    log.add("duke", "aa", b"first")
    log.add("duke/target", "aa", b"other")
    assert StatementLog(tmp_path).find("duke", "aa") == b"first"
    assert StatementLog(tmp_path).find("duke/target", "aa") == b"other"
    assert StatementLog(tmp_path).find("market1501", "aa") is None


def test_only_the_newest_are_kept(tmp_path):
    log = StatementLog(tmp_path)
    for number in range(KEEP + 3):
        log.add("duke", str(number), b"%d" % number)
    again = StatementLog(tmp_path)
    assert again.find("duke", "2") is None
    assert again.find("duke", "3") == b"3"
    assert again.find("duke", str(KEEP + 2)) == b"%d" % (KEEP + 2)


@pytest.mark.parametrize("text", ["", "[]", '{"aa": 3}', '{"aa": "zz"}', "[" * 99_999])
def test_a_damaged_file_is_named(tmp_path, text):
    StatementLog(tmp_path).add("duke", "aa", b"signed")
    (tmp_path / "duke" / FILE).write_text(text)
    with pytest.raises(Corrupt, match=r"statements\.json cannot be read as signed statements.*restore"):
        StatementLog(tmp_path).find("duke", "aa")


def test_a_disk_that_refuses_is_named(tmp_path):
    (tmp_path / "duke").write_text("a file, no folder")
    with pytest.raises(BadArgument, match=r"cannot be written: .*free space"):
        StatementLog(tmp_path).add("duke", "aa", b"signed")


class PowerCutError(BaseException):
    """Nobody catches it."""


def publish_own(message, context):
    number = int(message.content["config"]["round"])
    rng = np.random.default_rng([context.node_config["partition-id"], number])
    own = record(w=rng.normal(size=(30, 30)).astype(np.float32))
    return Message(RecordDict({context.node_config["domains"]: own}), reply_to=message)


@pytest.fixture
def city(tmp_path, monkeypatch):
    def mod(message, context, call_next):  # each node is a machine of its own
        return DomMod(tmp_path / "machines" / str(context.node_id))(message, context, call_next)

    app = ClientApp(mods=[mod])
    app.train()(publish_own)
    app.query()(lambda message, context: Message(RecordDict(), reply_to=message))
    return City(tmp_path, monkeypatch, app)


class Server:
    """A server's life: it relays each domain's newest version to the other domain, as PeerReuse does."""

    def __init__(self, city, folder, *, seal):
        self.city, self.seal = city, seal
        trust, streams = city.server(), folder / "run"
        self.grid = DomGrid(city.grid, store=folder / "store", trust=trust, streams=streams, uplink="stream", seal=seal)
        for context in city.grid.contexts.values():
            context.state = RecordDict()  # a SuperNode that starts again knows nothing
        nodes = [self.grid.create_message(RecordDict(), "query", node, "") for node in city.grid.contexts]
        list(self.grid.send_and_receive(nodes))  # the nodes report, and get newer city roots next

    def model(self, name):
        if self.seal:
            return self.grid.sealed_model(name)
        found = self.grid.streams.open(name).newest
        return record(**found.model)

    def round(self, number, models):
        messages = []
        for index, node in enumerate(self.city.nodes):
            peers = {name: model for name, model in models.items() if name != node.domains[0]}
            content = RecordDict({**peers, "config": ConfigRecord({"round": number})})
            messages.append(self.grid.create_message(content, "train", 100 + index, str(number)))
        return {name: m for reply in self.grid.send_and_receive(messages) for name, m in reply.content.array_records.items()}

    @property
    def errors(self):
        return [row.error for row in self.grid.ledger.rows if row.error]


def cut_power(monkeypatch, at, *, before):
    """Cut the power at the `at`-th file that is replaced, before or after; return the names of the files so far."""
    seen, replace = [], Path.replace

    def count(path, target):
        seen.append(Path(target).name)
        if before and len(seen) == at:
            raise PowerCutError
        replace(path, target)
        if not before and len(seen) == at:
            raise PowerCutError

    monkeypatch.setattr(Path, "replace", count)
    return seen


@pytest.mark.parametrize("seal", [False, True])
@pytest.mark.parametrize("before", [True, False])
def test_a_power_cut_at_any_file_leaves_a_state_that_goes_on(city, tmp_path, monkeypatch, before, seal):
    first = Server(city, tmp_path, seal=seal).round(1, {})
    assert first.keys() == set(DOMAINS)
    backup = tmp_path.parent / f"{tmp_path.name}-backup"
    shutil.copytree(tmp_path, backup)
    at, names = 0, set()
    while True:
        at += 1
        server = Server(city, tmp_path, seal=seal)
        models = {name: server.model(name) for name in DOMAINS}
        with monkeypatch.context() as patch:
            seen = cut_power(patch, at, before=before)
            try:
                server.round(2, models)
                break
            except PowerCutError:
                names.add(seen[-1])
        again = Server(city, tmp_path, seal=seal)
        for number in (2, 3):
            models = again.round(number, {name: again.model(name) for name in DOMAINS})
            assert models.keys() == set(DOMAINS), (at, seen)
        assert again.errors == [], (at, seen)
        assert city.attacks(0) == city.attacks(1) == {}
        shutil.rmtree(tmp_path)
        shutil.copytree(backup, tmp_path)
    assert names >= {"memory.json", "grid.json"} | ({"00000002.sealed"} if seal else {FILE, "00000002.dom"})
