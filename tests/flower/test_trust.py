"""Signatures under a strategy of Flower's and under streams: honest runs, and a server that lies in every named way."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from flwr.app import ConfigRecord, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp.strategy import FedAvg

from fedretina.city import revoke
from fedretina.dom import DomConfig
from fedretina.errors import BadArgument
from fedretina.flower import DomGrid, DomMod, header
from fedretina.flower.trust import NodeTrust
from fedretina.trust import DailyTraffic, Identity, Replayed
from small_city import DOMAINS, City, record


def start():
    return record(w=np.zeros((40, 40), np.float32), b=np.zeros(5, np.float32))


def trained(message, context):
    step = np.float32(1 + context.node_config["partition-id"])
    arrays = record(**{name: array.numpy() + step for name, array in message.content["arrays"].items()})
    content = {"arrays": arrays, "metrics": MetricRecord({"num-examples": 1})}
    return Message(RecordDict(content), reply_to=message)


@pytest.fixture
def city(tmp_path, monkeypatch):
    app = ClientApp(mods=[DomMod(tmp_path / "references")])
    app.train()(trained)
    return City(tmp_path, monkeypatch, app)


def run(city, tmp_path, rounds=3, **options):
    grid = DomGrid(city.grid, store=tmp_path / "server", trust=city.server(), **options)
    result = FedAvg(fraction_evaluate=0.0).start(grid, start(), num_rounds=rounds)
    return result, grid


def errors(grid):
    return [row.error for row in grid.ledger.rows if row.error]


def test_an_honest_run_gives_what_it_gives_without_trust(city, tmp_path):
    result, grid = run(city, tmp_path, config=DomConfig(lossless=True))
    assert np.allclose(result.arrays["w"].numpy(), 4.5)
    assert errors(grid) == []
    assert city.attacks(0) == city.attacks(1) == {}
    reports = grid.reports
    assert reports.keys() == set(DOMAINS)
    assert reports["duke"].held["server/arrays"][0] == 3


def test_todays_bytes_of_each_node_are_those_of_the_ledger(city, tmp_path):
    _, grid = run(city, tmp_path)
    found = DailyTraffic(city.folder.path).today()
    expected = {}
    for node, name in zip(city.grid.contexts, DOMAINS, strict=True):
        sizes = [row.wire_bytes for row in grid.ledger.rows if row.node == node]
        expected[name] = sum(sizes[1:])  # before a node's first report nobody knows which domains it hosts
    assert found == expected


def test_a_strategy_without_trust_is_refused_by_the_nodes(city, tmp_path):
    grid = DomGrid(city.grid, store=tmp_path / "server")
    FedAvg(fraction_evaluate=0.0).start(grid, start(), num_rounds=1)
    assert "the message has no signatures: run the strategy over DomGrid(grid, trust=...)" in errors(grid)[0]


def test_a_node_without_trust_is_refused_by_the_server(city, tmp_path):
    for context in city.grid.contexts.values():
        del context.node_config["city"]
    grid = DomGrid(city.grid, store=tmp_path / "server", trust=city.server())
    FedAvg(fraction_evaluate=0.0).start(grid, start(), num_rounds=1)
    assert any("has no signatures: start the node with `fedretina city join`" in error for error in errors(grid))


def test_what_is_signed_is_coded(city, tmp_path):
    with pytest.raises(BadArgument, match="lossless=True"):
        DomGrid(city.grid, None, store=tmp_path / "server", trust=city.server())


def swap_down(message, change):
    """Change the header of a message to a node."""
    changed = change(header.DownHeader.from_record(message.content.config_records[header.NAME]))
    message.content = RecordDict({**message.content, header.NAME: changed.to_record()})  # others share the content


def with_trust(down, **changes):
    return replace(down, trust=replace(down.trust, **changes))


def attack(city, tmp_path, change, *, at=4):
    """Run three rounds; from message `at` on (the third round's first), messages to the first node are changed."""

    def tamper(message, number):
        if number >= at and message.metadata.dst_node_id == 100:
            swap_down(message, change)

    city.grid.tamper = tamper
    _, grid = run(city, tmp_path)
    return errors(grid)


def seen_statements(city, tmp_path):
    """Return the statements of an honest run, oldest first."""
    seen = []

    def watch(message, number):
        down = header.DownHeader.from_record(message.content.config_records[header.NAME])
        seen.append(down.trust.statements["arrays"])

    city.grid.tamper = watch
    run(city, tmp_path)
    return seen


def test_forged_statements(city, tmp_path):
    def forge(down):
        statement = bytearray(down.trust.statements["arrays"])
        statement[-1] ^= 1
        return with_trust(down, statements={"arrays": bytes(statement)})

    found = attack(city, tmp_path, forge)
    assert found
    assert all("Forged" in error or "could not decode" in error for error in found)
    assert city.attacks()["Forged"] >= 1
    assert city.attacks(1) == {}


def test_statements_by_nobody_of_the_city(city, tmp_path):
    stranger = Identity(city.nodes[1].path, ["market1501"])

    def sign_by_another(down):
        digest = bytes.fromhex(down.models["arrays"].digest)
        statement = stranger.sign(b"x", stream="server/arrays", owner="market1501", digest=digest, base=b"", size=9)
        return with_trust(down, statements={"arrays": statement})

    assert any("UnknownSigner" in error for error in attack(city, tmp_path, sign_by_another))
    assert city.attacks().keys() == {"UnknownSigner"}


def test_missing_statements(city, tmp_path):
    assert any("came without a signature" in e for e in attack(city, tmp_path, lambda down: with_trust(down, statements={})))


@pytest.mark.parametrize("cleared", [False, True])
def test_rolled_back_versions(city, tmp_path, cleared):
    """The server sends the second round's statement again in the third, with its list of newest versions forged to agree.

    It makes no difference that the node's cache was cleared before: the counters are elsewhere.
    """
    old = {}

    def keep_then_replay(message, number):
        if message.metadata.dst_node_id != 100:
            return
        down = header.DownHeader.from_record(message.content.config_records[header.NAME])
        if number < 2:
            old["down"] = down
        elif number >= 4:
            if cleared:
                shutil.rmtree(tmp_path / "references", ignore_errors=True)
            swap_down(message, lambda down: with_trust(old["down"], newest=down.trust.newest))

    city.grid.tamper = keep_then_replay
    _, grid = run(city, tmp_path)
    assert any("RolledBack" in error for error in errors(grid))
    assert city.attacks().keys() == {"RolledBack"}


def test_replayed_lists_of_newest_versions(city, tmp_path):
    first = {}

    def replay(down):
        return with_trust(down, newest=first["newest"])

    def tamper(message, number):
        if message.metadata.dst_node_id == 100:
            if not first:
                first["newest"] = header.DownHeader.from_record(message.content.config_records[header.NAME]).trust.newest
            elif number >= 4:
                swap_down(message, replay)

    city.grid.tamper = tamper
    _, grid = run(city, tmp_path)
    assert any("the list of newest versions has number" in error for error in errors(grid))


def test_withheld_versions(city, tmp_path):
    server = city.server()

    def name_a_newer_one(down):
        return with_trust(down, newest=server.sign_newest({"server/arrays": (99, b"d" * 32)}))

    assert any(
        "Frozen" in error and "the server names version 99" in error for error in attack(city, tmp_path, name_a_newer_one)
    )


def test_a_domain_and_a_server_that_disagree(city, tmp_path):
    server = city.server()

    def name_another(down):
        return with_trust(down, newest=server.sign_newest({"server/arrays": (3, b"d" * 32)}))

    assert any("MixAndMatch" in error for error in attack(city, tmp_path, name_another))


def test_endless_payloads(city, tmp_path):
    def tamper(message, number):
        if number >= 4 and message.metadata.dst_node_id == 100:
            name = next(iter(message.content["arrays"]))
            array = message.content["arrays"][name]
            array.data += bytes(200_000)

    city.grid.tamper = tamper
    _, grid = run(city, tmp_path)
    assert any("Endless" in error for error in errors(grid)), errors(grid)
    assert city.attacks().keys() == {"Endless"}


def test_a_new_root_reaches_the_nodes_with_the_next_message(city, tmp_path):
    city.join(tmp_path / "cuhk03", "cuhk03")  # root 4; the nodes have root 3 and 2
    _, grid = run(city, tmp_path, rounds=1)
    assert errors(grid) == []
    assert {report.root for report in grid.reports.values()} <= {2, 3, 4}
    _, grid = run(city, tmp_path, rounds=2)
    assert Identity(city.nodes[0].path, ["duke"]).verifier.root.version == 4


def test_a_revoked_domain_can_no_longer_publish(city, tmp_path):
    run(city, tmp_path, rounds=1)
    revoke(city.folder, "duke", lambda _: None)
    _, grid = run(city, tmp_path, rounds=1)
    found = errors(grid)
    assert any("the domain duke is not admitted by the city root" in error for error in found)
    assert "market1501" in grid.reports


def publish_own(message, context):
    rng = np.random.default_rng([context.node_config["partition-id"], int(message.content["config"]["round"])])
    own = record(w=rng.normal(size=(30, 30)).astype(np.float32))
    return Message(RecordDict({context.node_config["domains"]: own}), reply_to=message)


def test_published_streams_are_relayed_with_their_makers_signature(city, tmp_path):
    """As PeerReuse does: each node publishes its model, and the other gets it, signed by its domain."""
    grid = DomGrid(city.grid, store=tmp_path / "server", uplink="stream", trust=city.server())
    models, statements = {}, []
    city.grid.app = ClientApp(mods=[DomMod(tmp_path / "references")])
    city.grid.app.train()(publish_own)
    city.grid.tamper = lambda message, number: statements.append(
        header.DownHeader.from_record(message.content.config_records[header.NAME]).trust.statements
    )
    for number in (1, 2, 3):
        config = ConfigRecord({"round": number})
        messages = []
        for index, node in enumerate(city.nodes):
            peers = {name: model for name, model in models.items() if name != node.domains[0]}
            content = RecordDict({**peers, "config": config})
            messages.append(grid.create_message(content, "train", 100 + index, str(number)))
        for reply in grid.send_and_receive(messages):
            assert not reply.has_error(), reply.error
            models |= dict(reply.content.array_records)
    assert errors(grid) == []
    assert set(statements[-1]) | set(statements[-2]) == set(DOMAINS)
    report = grid.reports["duke"]
    assert report.held["market1501"][0] == 2
    assert report.attacks == {}


def test_equal_models_of_two_domains_keep_their_makers(city, tmp_path):
    def publish_equal(message, context):
        return Message(
            RecordDict({context.node_config["domains"]: record(w=np.ones((30, 30), np.float32))}), reply_to=message
        )

    grid = DomGrid(city.grid, store=tmp_path / "server", uplink="stream", trust=city.server())
    city.grid.app = ClientApp(mods=[DomMod(tmp_path / "references")])
    city.grid.app.train()(publish_equal)
    models = {}
    for number in ("1", "2"):
        content = [RecordDict({n: m for n, m in models.items() if n != node.domains[0]}) for node in city.nodes]
        messages = [grid.create_message(c, "train", 100 + i, number) for i, c in enumerate(content)]
        for reply in grid.send_and_receive(messages):
            models |= dict(reply.content.array_records)
    assert errors(grid) == []


def test_another_domains_model_under_a_domains_name(city, tmp_path):
    test_published_streams_are_relayed_with_their_makers_signature(city, tmp_path)
    node = NodeTrust(Identity(city.nodes[0].path, ["duke"]))
    with pytest.raises(Replayed, match="the stream 'cuhk03' came as the record 'market1501'"):
        node.check("market1501", "cuhk03", "00", b"any", [])
    assert city.attacks() == {"Replayed": 1}
