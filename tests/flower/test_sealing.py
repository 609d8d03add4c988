"""Sealed streams in one process: who can read, what the server can do, and every refusal with its message."""

from dataclasses import replace

import numpy as np
import pytest
from flwr.app import ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp.strategy import FedAvg

from fedretina.city import node_statuses
from fedretina.dom import ReferenceStore, digest
from fedretina.errors import BadArgument
from fedretina.flower import DomGrid, DomMod, header
from fedretina.flower.seals import DownSeal
from fedretina.flower.trust import DownTrust
from fedretina.trust import Signed, SigningKey, Statement, UnknownSigner, is_sealed
from small_city import City, record

SHAPE = (30, 30)


def model_of(domain, number):
    rng = np.random.default_rng([len(domain), number])
    first = np.random.default_rng(len(domain)).normal(size=SHAPE)
    return {"z": (first + 0.01 * rng.normal(size=SHAPE)).astype(np.float32), "a": np.float32(rng.normal(size=4))}


def app_of(folder):
    """Publish the next version of the node's own model, and report the digests of the peers' models."""

    def answer(message, context):
        number = int(message.content["config"]["round"])
        peers = {
            name: digest({key: array.numpy() for key, array in model.items()})
            for name, model in message.content.array_records.items()
        }
        reply = RecordDict({"seen": ConfigRecord(peers), "order": ConfigRecord({n: list(m) for n, m in peers_of(message)})})
        own = context.node_config["domains"]
        if message.metadata.message_type == "train" and own != "kiosk":
            reply[own] = record(**model_of(own, number))
        reply["metrics"] = MetricRecord({"score": 1.0 if own == "duke" else 2.0})
        return Message(reply, reply_to=message)

    def mod(message, context, call_next):  # each node is a machine of its own
        return DomMod(folder / str(context.node_id))(message, context, call_next)

    app = ClientApp(mods=[mod])
    app.train()(answer)
    app.query()(answer)
    return app


def peers_of(message):
    return message.content.array_records.items()


@pytest.fixture
def city(tmp_path, monkeypatch):
    return City(tmp_path, monkeypatch, app_of(tmp_path / "machines"), front_end=True)


class Run:
    """Rounds over sealed streams: each node publishes, and gets the others' models in the next round."""

    def __init__(self, city, folder, **options):
        self.city, self.models, self.number = city, {}, 0
        options = {"seal": True, "uplink": "stream"} | options
        self.grid = DomGrid(city.grid, store=folder / "server", trust=city.server(), streams=folder / "streams", **options)
        self.ask()

    def ask(self):
        """Ask all nodes something, as PeerReuse does first: they report their city roots, and get newer ones next."""
        empty = {"config": ConfigRecord({"round": 0})}
        nodes = range(len(self.city.nodes))
        list(self.grid.send_and_receive([self.grid.create_message(RecordDict(empty), "query", 100 + n, "") for n in nodes]))

    def round(self, *, nodes=(0, 1, 2)):
        """Return the replies by node."""
        self.number += 1
        messages = []
        for index in nodes:
            own = self.city.nodes[index].domains[0]
            peers = {name: model for name, model in self.models.items() if name != own}
            content = RecordDict({**peers, "config": ConfigRecord({"round": self.number})})
            messages.append(self.grid.create_message(content, "train", 100 + index, str(self.number)))
        replies = {reply.metadata.src_node_id - 100: reply for reply in self.grid.send_and_receive(messages)}
        for reply in replies.values():
            if reply.has_content():
                self.models |= dict(reply.content.array_records)
        return replies

    def seen(self, replies, node):
        return dict(replies[node].content["seen"])

    @property
    def errors(self):
        return [row.error for row in self.grid.ledger.rows if row.error]

    def digest(self, stream):
        return self.grid.sealed_model(stream)["sealed"].source.digest


@pytest.fixture
def run(city, tmp_path):
    return Run(city, tmp_path)


def header_of(message):
    return header.DownHeader.from_record(message.content.config_records[header.NAME])


def test_recipients_read_and_the_server_cannot(run, tmp_path):
    for _ in range(3):
        before = {name: run.digest(name) for name in run.models}
        replies = run.round()
        for node, peers in ((0, {"market1501"}), (1, {"duke"}), (2, {"duke", "market1501"})):
            assert run.seen(replies, node) == {name: before[name] for name in peers if name in before}
    assert run.errors == []
    rows = [row for row in run.grid.ledger.rows if row.stream == "duke"]
    assert [row.kind for row in rows if row.direction == "up"] == ["keyframe", "delta", "delta"]
    assert {row.kind for row in rows if row.direction == "down"} == {"keyframe", "delta"}
    store = ReferenceStore(tmp_path / "server")
    assert not any(row.digest in store for row in rows)
    assert run.grid.reports["kiosk"].held["duke"][0] == 2
    assert run.grid.reports["kiosk"].attacks == {}


def test_post_quantum_keys_sign_and_seal(tmp_path, monkeypatch):
    city = City(tmp_path, monkeypatch, app_of(tmp_path / "machines"), front_end=True, post_quantum=True)
    run = Run(city, tmp_path)
    run.round()
    replies = run.round()
    assert run.errors == []
    assert run.seen(replies, 2).keys() == {"duke", "market1501"}
    link = run.grid.sealed_model("duke")["sealed"].source.link
    statement = Signed.from_bytes(link.statement)
    assert len(statement.signatures) == 2
    assert min(map(len, link.stanzas.values())) > 1000  # the ciphertext of ML-KEM-768 is in it
    for key, signature in statement.signatures.items():
        less = Signed(statement.type, statement.body, {key: signature}).to_bytes()
        with pytest.raises(UnknownSigner, match="1 of the 2 known keys signed, 2 must"):
            city.identity(2).verifier.check(less, stream="duke")


def test_the_order_of_arrays_survives(run):
    run.round()
    replies = run.round()
    assert list(replies[2].content["order"]["duke"]) == ["z", "a"]


def test_what_travels_is_sealed_and_each_node_gets_its_own_stanza_only(run):
    run.round()
    city, stanzas = run.city, {}
    for message in city.grid.sent:
        assert all(is_sealed(array.data) for each in message.content.array_records.values() for array in each.values())
    run.round()
    for message in city.grid.sent[6:]:
        for name, seal in header_of(message).trust.seals.items():
            assert len(seal.stanzas) == 1
            stanzas[message.metadata.dst_node_id, name] = seal.stanzas[0]
    assert len(set(stanzas.values())) == len(stanzas) == 4
    assert header_of(city.grid.sent[-1]).trust.recipients == {}


@pytest.mark.parametrize(
    "read", [lambda r: r.to_numpy_ndarrays(), lambda r: r["sealed"].data, lambda r: r["sealed"].numpy()]
)
def test_reading_is_refused_with_a_word(run, read):
    run.round()
    with pytest.raises(BadArgument, match=r"the model 'duke' \(version \w{8}\) is sealed .* it can relay it, and choose by"):
        read(run.models["duke"])


def test_averaging_is_refused(city, tmp_path):
    with pytest.raises(BadArgument, match="the server cannot average models that it cannot read"):
        Run(city, tmp_path, uplink="one-shot")
    with pytest.raises(BadArgument, match="no keys to seal for"):
        DomGrid(city.grid, uplink="stream", seal=True)
    run = Run(city, tmp_path)
    run.round()
    grid = run.grid
    metrics = MetricRecord({"num-examples": 1})
    contents = [RecordDict({"arrays": model, "metrics": metrics}) for model in run.models.values()]
    replies = [Message(content, dst_node_id=1, message_type="train") for content in contents]
    with pytest.raises(BadArgument, match="sealed for its recipients"):
        FedAvg().aggregate_train(1, replies)
    assert grid.seals


def test_a_strategy_can_choose_by_metrics(run):
    replies = run.round()
    best = max((0, 1), key=lambda node: replies[node].content["metrics"]["score"])
    name = run.city.nodes[best].domains[0]
    content = RecordDict({name: run.models[name], "config": ConfigRecord({"round": 2})})
    (reply,) = run.grid.send_and_receive([run.grid.create_message(content, "query", 102, "2")])
    assert dict(reply.content["seen"]) == {"market1501": run.digest("market1501")}


def test_a_node_that_missed_versions_gets_the_chain(run):
    run.round()
    run.round()
    for _ in range(3):
        run.round(nodes=(0, 1))
    expected = run.digest("duke")
    replies = run.round()
    assert run.seen(replies, 2)["duke"] == expected
    last = [row for row in run.grid.ledger.rows if (row.node, row.stream, row.direction) == (102, "duke", "down")][-1]
    assert last.kind == "chain"
    assert run.errors == []


def test_a_keyframe_bounds_the_chain(run, monkeypatch):
    monkeypatch.setattr("fedretina.flower.sealed.KEYFRAME_EVERY", 3)
    for _ in range(7):
        run.round(nodes=(0, 1))
    kinds = [row.kind for row in run.grid.ledger.rows if (row.stream, row.direction) == ("duke", "up")]
    assert kinds == ["keyframe", "delta", "delta"] * 2 + ["keyframe"]
    assert run.errors == []


def test_a_newcomer_makes_the_makers_publish_keyframes(run, tmp_path):
    """A domain joins while the run goes on: its recipient key is in the next root."""
    for _ in range(2):
        run.round(nodes=(0, 1))
    city = run.city
    city.nodes.append(city.join(tmp_path / "cuhk03", "cuhk03"))
    config = {"city": str(city.nodes[3].path), "domains": "cuhk03"}
    city.grid.contexts[103] = Context(1, 103, config, RecordDict(), {})
    run.round(nodes=(0, 1))
    kinds = [row.kind for row in run.grid.ledger.rows if (row.stream, row.direction) == ("duke", "up")]
    assert kinds == ["keyframe", "delta", "keyframe"]
    expected = run.digest("duke")
    replies = run.round(nodes=(0, 1, 3))
    assert run.seen(replies, 3)["duke"] == expected
    run.round(nodes=(0, 1))
    kinds = [row.kind for row in run.grid.ledger.rows if (row.stream, row.direction) == ("duke", "up")]
    assert kinds[-2:] == ["delta", "delta"]


def test_recipients_may_be_named_and_front_ends_are_added(run):
    run.grid.seal_for("duke", [])
    run.round()
    replies = run.round(nodes=(0, 2))
    assert "duke" in run.seen(replies, 2)
    replies = run.round(nodes=(1,))
    assert replies[1].has_error()
    assert "refers to version" in run.errors[0]  # market1501 gets nothing that it could open
    assert run.city.attacks(1) == {}


def test_a_node_may_exclude_recipients_by_its_own_policy(run):
    (run.city.nodes[0].path / "policy.toml").write_text('[trust]\ndomains = ["kiosk"]\n')
    run.round()
    replies = run.round(nodes=(2,))
    assert "duke" in run.seen(replies, 2)
    assert run.round(nodes=(1,))[1].has_error()


def test_a_server_that_starts_again_goes_on(run, city, tmp_path):
    run.round()
    run.round()
    again = Run(city, tmp_path)
    again.models = {name: again.grid.sealed_model(name) for name in ("duke", "market1501")}
    again.number = 2
    assert again.digest("duke") == run.digest("duke")
    replies = again.round()
    assert run.seen(replies, 2) == {name: run.digest(name) for name in ("duke", "market1501")}
    kinds = [row.kind for row in again.grid.ledger.rows if (row.stream, row.direction) == ("duke", "up")]
    assert kinds == ["delta"]
    assert again.errors == []


def test_a_damaged_payload_log_makes_a_keyframe(run, city, tmp_path):
    for _ in range(2):
        run.round()
    first = min((tmp_path / "streams" / "sealed" / "duke").glob("*.sealed"))
    first.write_bytes(b"damaged")
    again = Run(city, tmp_path)
    again.number = 2
    again.round()
    kinds = [row.kind for row in again.grid.ledger.rows if (row.stream, row.direction) == ("duke", "up")]
    assert kinds == ["keyframe"]


def test_an_unknown_stream_has_no_sealed_model(run):
    with pytest.raises(BadArgument, match="the sealed stream 'duke' has no version"):
        run.grid.sealed_model("duke")
    with pytest.raises(BadArgument, match="does not seal"):
        DomGrid(run.city.grid, uplink="stream").sealed_model("duke")


# Refusals: the ledger names the attack, the version before stays in force, the status shows it ----------------------------


def attack(run, change, *, node=2, at=2):
    """Run to round `at`; in it, messages to one node are changed. Return the replies of that round, and one honest round."""
    for _ in range(at):
        run.round()
    held = run.city.identity(node).verifier.memory.installed("duke")
    run.city.grid.tamper = lambda message, number: change(message) if message.metadata.dst_node_id == 100 + node else None
    attacked = run.round()
    assert run.city.identity(node).verifier.memory.installed("duke") == held
    run.city.grid.tamper = lambda message, number: None
    return attacked


def check_refusal(run, name, message, *, node=2):
    """Check ledger, memory and status; then an honest round ends well."""
    assert any(name in error and message in error for error in run.errors), run.errors
    assert run.city.attacks(node).keys() == {name}
    expected = run.digest("duke")
    run.round()  # a maker whose payload was refused publishes a keyframe now
    replies = run.round()
    assert run.seen(replies, node)["duke"] != expected
    show = {status.node: status.attacks for status in node_statuses(run.city.folder, lambda _: None)}
    assert show[run.city.nodes[node].domains[0]].keys() == {name}


def change_header(message, change):
    changed = change(header_of(message))
    message.content = RecordDict({**message.content, header.NAME: changed.to_record()})


def change_trust(message, **changes):
    change_header(message, lambda down: replace(down, trust=replace(down.trust, **changes)))


def change_body(message, change, name="duke"):
    packed = message.content[name].copy()
    for key in packed:
        packed[key].data = change(packed[key].data)
    message.content = RecordDict({**message.content, name: packed})


def flip(data):
    return data[:-1] + bytes([data[-1] ^ 1])


def test_forged_body(run):
    attack(run, lambda message: change_body(message, flip))
    check_refusal(run, "Forged", "the sealed payload was changed on its way: drop it")


def test_endless_body(run):
    attack(run, lambda message: change_body(message, lambda data: data + bytes(9)))
    check_refusal(run, "Endless", "its statement allows")


def test_body_without_seal(run):
    attack(run, lambda message: change_trust(message, seals={}))
    check_refusal(run, "Unsealed", "the record 'duke' is sealed, and nothing came that opens it")


def test_stanza_of_another_node(run):
    def swap(message):
        seals = header_of(message).trust.seals
        change_trust(
            message, seals={**seals, "duke": DownSeal((flip(seals["duke"].stanzas[0]),))} if seals["duke"].stanzas else seals
        )

    attack(run, swap)
    check_refusal(run, "Unsealed", "it was sealed for another recipient or another statement")


def test_forged_statement(run):
    def forge(message):
        change_trust(message, statements={name: flip(data) for name, data in header_of(message).trust.statements.items()})

    attack(run, forge)
    check_refusal(run, "Forged", "does not match the bytes: refuse it")


def test_statement_by_nobody_of_the_city(run):
    stranger = SigningKey.generate()

    def sign(message):
        found = header_of(message).trust.statements["duke"]
        signed = Signed.by([stranger], "fedretina/version", Signed.from_bytes(found).body)
        change_trust(message, statements={**header_of(message).trust.statements, "duke": signed.to_bytes()})

    attack(run, sign)
    check_refusal(run, "UnknownSigner", "0 of the 1 known keys signed, 1 must")


def resign(run, message, node=0, **changes):
    """Replace duke's statement by one that differs, signed with duke's key: the maker lies, or its key is stolen."""
    domain = run.city.nodes[node].domains[0]
    found = Statement.from_body(Signed.from_bytes(header_of(message).trust.statements[domain]).body)
    signed = replace(found, **changes).sign(run.city.identity(node).signing[domain])
    change_trust(message, statements={**header_of(message).trust.statements, domain: signed})


def test_expired_statement(run):
    attack(run, lambda message: resign(run, message, created=1, expires=2))
    check_refusal(run, "Expired", "is past its date: the domain must sign it anew")


def test_rolled_back_version(run):
    def roll_back(message):
        resign(run, message, counter=0)
        change_trust(message, newest=run.city.server().sign_newest({}))

    attack(run, roll_back)
    check_refusal(run, "RolledBack", "keep version 1")


def test_replayed_statement_of_another_stream(run):
    attack(run, lambda message: resign(run, message, stream="duke/other"))
    check_refusal(run, "Replayed", "a statement of duke/other")


def test_withheld_version(run):
    def withhold(message):
        change_trust(message, newest=run.city.server().sign_newest({"duke": (99, b"d" * 32)}))

    attack(run, withhold)
    check_refusal(run, "Frozen", "the server names version 99: ask for it")


def test_domain_and_server_that_disagree(run):
    def disagree(message):
        counter = Statement.from_body(Signed.from_bytes(header_of(message).trust.statements["duke"]).body).counter
        change_trust(message, newest=run.city.server().sign_newest({"duke": (counter, b"d" * 32)}))

    attack(run, disagree)
    check_refusal(run, "MixAndMatch", "install neither")


def test_the_version_before_goes_on_when_a_maker_publishes_junk(run):
    """Only recipients can see that a sealed payload is junk. They report it, and get the version before within the round."""
    for _ in range(2):
        run.round()
    before = run.digest("duke")
    run.round()
    stream = run.models["duke"]["sealed"].source.stream
    junk = stream.log._links[-1]
    stream.log._links[-1] = replace(junk, payload=flip(junk.payload))
    replies = run.round()
    assert run.seen(replies, 2)["duke"] == before
    assert sum("Forged" in error for error in run.errors) == 2  # at market1501 and kiosk
    kinds = [row.kind for row in run.grid.ledger.rows if (row.stream, row.direction) == ("duke", "up")]
    assert kinds == ["keyframe", "delta", "delta", "delta"]
    run.round()
    replies = run.round()
    kinds = [row.kind for row in run.grid.ledger.rows if (row.stream, row.direction) == ("duke", "up")]
    assert kinds[4:] == ["keyframe", "delta"]
    assert run.seen(replies, 2)["duke"] not in ("", before)


def test_policy_refuses_what_is_not_sealed(city, tmp_path):
    run = Run(city, tmp_path, seal=False)
    run.round()
    (city.nodes[2].path / "policy.toml").write_text("[trust]\nrequire_sealed = true\n")
    replies = run.round()
    assert replies[2].has_error()
    said = "Unsealed: the reply's model would leave this node without a seal, and its policy.toml says"
    assert any(said in error and "start the run with seal=true" in error for error in run.errors), run.errors
    content = RecordDict({"duke": run.models["duke"], "config": ConfigRecord({"round": 2})})
    (reply,) = run.grid.send_and_receive([run.grid.create_message(content, "query", 102, "2")])
    assert reply.has_error()
    assert "the model 'duke' came without a seal, and this node's policy.toml says require_sealed" in run.errors[-1]
    assert city.attacks(2).keys() == {"Unsealed"}
    again = Run(city, tmp_path / "sealed")
    again.round()
    assert run.seen(again.round(), 2).keys() == {"duke", "market1501"}


def answer_of(city, content, *, node=0, kind="train"):
    """Return what a node answers to a message that did not come from a DomGrid that seals."""
    message = Message(content, dst_node_id=100 + node, message_type=kind, group_id="1")
    city.grid.push_messages([message])
    (reply,) = city.grid.pull_messages([message.metadata.message_id])
    return reply


@pytest.mark.parametrize("has_header", [False, True])
def test_policy_lets_no_open_model_leave_whoever_asks(city, has_header):
    """Plain Flower's messages have no header; and a header may ask for uncoded replies."""
    (city.nodes[0].path / "policy.toml").write_text("[trust]\nrequire_sealed = true\n")
    content = RecordDict({"config": ConfigRecord({"round": 1})})
    if has_header:
        trust = DownTrust((), city.server().sign_newest({}), {}, {}, {})
        content[header.NAME] = header.DownHeader(config=None, uplink="stream", models={}, trust=trust).to_record()
    reply = answer_of(city, content)
    assert reply.has_error()
    assert reply.error.reason.startswith("Unsealed: the record 'duke' would leave this node without a seal")
    assert city.attacks(0) == {"Unsealed": 1}


def test_a_reply_without_seal_is_refused_by_the_server(run):
    run.round()
    run.city.grid.tamper = lambda message, number: (
        change_trust(message, recipients=None) if message.metadata.dst_node_id == 100 else None
    )
    replies = run.round()
    assert replies[0].has_error()
    assert "Unsealed" in run.errors[0]
    assert "the reply's record 'duke' is not sealed, and this run demands it" in run.errors[0]
    assert run.city.server().verifier.memory.attacks == {"Unsealed": 1}
