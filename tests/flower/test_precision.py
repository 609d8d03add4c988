"""Only versions of a model that the other side holds lose precision; all other data arrive as they were sent."""

import itertools

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

import toy
from fedretina.dom import DomConfig
from fedretina.errors import BadArgument
from fedretina.flower import DomGrid, DomMod, RecordRule
from fedretina.flower.sizes import message_size
from fedretina.ledger import totals
from fedretina.testing import LocalGrid

RNG = np.random.default_rng(0)
WEIGHTS = {
    "fc.weight": RNG.normal(size=(64, 100)).astype(np.float32) * 0.1,
    "fc.bias": RNG.normal(size=64).astype(np.float32),
    "bn.running_var": np.ones(64, np.float32),
}
DATA = {
    "survival times": {"times": np.tile([6.0, 13.0, 19.0, 6.5], 100), "events": np.tile([1.0, 0.0, 1.0, 1.0], 100)},
    "histogram": {"counts": np.tile(np.array([120.0, 3, 0, 1, 57], np.float32), (60, 1))},
    "identifiers": {"ids": 20260101.0 + np.arange(500).reshape(10, 50)},
    "second moments": {name: RNG.gamma(0.1, 1e-6, value.shape).astype(np.float32) for name, value in WEIGHTS.items()},
    "activations": {"h": RNG.normal(size=(32, 64)).astype(np.float32)},
    "not finite": {"h": np.full((32, 64), np.nan, np.float32)},
}
TYPES = ["query", "query.analyse", "evaluate", "train", "train.step"]


def equal(record, model):
    got = toy.model_of(record)
    return list(got) == list(model) and all(
        got[name].dtype == value.dtype and got[name].tobytes() == value.tobytes() for name, value in model.items()
    )


def trained(model, *, size=0.01, seed=0):
    rng = np.random.default_rng(seed)
    return {name: value + (size * rng.normal(size=value.shape)).astype(value.dtype) for name, value in model.items()}


class Federation:
    """One kind of app on some nodes: `answer` maps the records of a message to those of its reply."""

    def __init__(self, folder, answer, *, nodes=3, plain=False, **options):
        self.seen, self.made = [], []
        app = ClientApp(mods=[] if plain else [DomMod(folder)])

        def handle(message, context):
            self.seen.append({name: toy.model_of(record) for name, record in message.content.array_records.items()})
            made = answer(self.seen[-1], int(context.node_config["partition-id"]))
            self.made.append(made)
            records = {name: toy.record_of(model) for name, model in made.items()}
            return Message(RecordDict({**records, "m": MetricRecord({"num-examples": 1})}), reply_to=message)

        for register in (app.train, app.evaluate, app.query):
            register()(handle)
        for register, action in ((app.query, "analyse"), (app.train, "step")):
            register(action)(handle)
        self.inner = LocalGrid(app, nodes)
        self.grid = self.inner if plain else DomGrid(self.inner, store=folder, **options)

    def send(self, content, *, kind="train", number=1, each=None):
        """Send the same models to all nodes, or what `each` gives for a node; return the replies' array records."""
        shared = {name: toy.record_of(model) for name, model in content.items()}
        messages = []
        for node in self.grid.get_node_ids():
            own = shared if each is None else {name: toy.record_of(model) for name, model in each(node).items()}
            config = ConfigRecord({"server-round": number})
            messages.append(Message(RecordDict({**own, "config": config}), dst_node_id=node, message_type=kind))
        replies = list(self.grid.send_and_receive(messages))
        assert not any(reply.has_error() for reply in replies), [r.error.reason for r in replies if r.has_error()]
        return [reply.content.array_records for reply in sorted(replies, key=lambda reply: reply.metadata.src_node_id)]


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("name", DATA)
def test_replies_that_are_no_model_arrive_as_they_were(tmp_path, name, kind):
    """Analytics, activations, an optimiser's state: whatever was asked for with a model or without."""
    federation = Federation(tmp_path, lambda received, place: {"data": DATA[name]})
    for number, content in enumerate(({}, {"arrays": WEIGHTS}, {"arrays": trained(WEIGHTS)}), 1):
        replies = federation.send(content, kind=kind, number=number)
        assert all(equal(records["data"], DATA[name]) for records in replies)


@pytest.mark.parametrize("kind", ["query", "query.analyse", "train.step"])
@pytest.mark.parametrize("name", DATA)
def test_data_that_go_down_arrive_as_they_were(tmp_path, name, kind):
    federation = Federation(tmp_path, lambda received, place: {})
    for number in (1, 2):
        federation.send({"data": DATA[name]}, kind=kind, number=number)
    for received in federation.seen:
        assert equal(toy.record_of(received["data"]), DATA[name])


@pytest.mark.parametrize("kind", ["train", "evaluate"])
def test_gradients_that_go_down_node_by_node_arrive_as_they_were(tmp_path, kind):
    """Vertical federated learning: even where the message's type is that of a model."""
    federation = Federation(tmp_path, lambda received, place: {})
    for number in range(1, 4):
        sent = {n: {"g": {"h": np.random.default_rng((n, number)).normal(size=(32, 200))}} for n in (100, 101, 102)}
        federation.send({}, kind=kind, number=number, each=sent.__getitem__)
        for node, received in zip(sent, federation.seen[-3:], strict=True):
            assert equal(toy.record_of(received["g"]), sent[node]["g"])


@pytest.mark.parametrize("scale", [1e-4, 0.01, 0.1, 1.0, 10.0])
def test_gradients_of_the_model_arrive_as_they_were(tmp_path, scale):
    """FedSGD: they have the names, shapes and dtypes of the model, and the record has its name."""

    def gradients(received, place):
        rng = np.random.default_rng((place, 7))
        model = received["arrays"]
        return {"arrays": {n: (scale * (0.1 * v + rng.normal(size=v.shape))).astype(v.dtype) for n, v in model.items()}}

    federation = Federation(tmp_path, gradients)
    model = WEIGHTS
    for number in range(1, 5):
        replies = federation.send({"arrays": model}, number=number)
        assert all(
            equal(records["arrays"], made["arrays"]) for records, made in zip(replies, federation.made[-3:], strict=True)
        )
        model = trained(model, seed=number)


def test_further_records_are_exact_while_the_model_is_a_difference(tmp_path):
    """Optimiser's state and control variates beside the model, both ways, with the model's tensor names."""

    def answer(received, place):
        model, state = received["arrays"], received["state"]
        return {"arrays": trained(model, seed=place), "state": trained(state, size=1e-4, seed=place), "delta": state}

    federation = Federation(tmp_path, answer)
    model, extra = WEIGHTS, {name: np.zeros_like(value) for name, value in WEIGHTS.items()}
    for number in range(1, 5):
        replies = federation.send({"arrays": model, "state": extra}, number=number)
        for records, made, seen in zip(replies, federation.made[-3:], federation.seen[-3:], strict=True):
            assert equal(records["state"], made["state"])
            assert equal(records["delta"], made["delta"])
            assert equal(toy.record_of(seen["state"]), extra)
            assert not equal(records["arrays"], made["arrays"])
        model, extra = toy.model_of(replies[0]["arrays"]), toy.model_of(replies[0]["state"])
    kinds = {(row.stream, row.direction): row.kind for row in federation.grid.ledger.rows if row.round == 4}
    assert (kinds["arrays", "down"], kinds["arrays", "up"]) == ("delta", "delta")


def test_control_variates_behind_the_weights_in_one_list_are_exact(tmp_path):
    names = [str(i) for i in range(4)]
    weights, control = (RNG.normal(size=(80, 40)).astype(np.float32) * np.float32(scale) for scale in (1, 0.1))

    def answer(received, place):
        w, b, c, d = received["fitins.parameters"].values()
        change = 0.1 * np.random.default_rng(place).normal(size=c.shape).astype(np.float32)
        return {"fitres.parameters": dict(zip(names, (w + np.float32(0.1) * change, b, change, d), strict=True))}

    federation = Federation(tmp_path, answer)
    model = dict(zip(names, (weights, weights[0], control, control[0]), strict=True))
    for number in (1, 2, 3):
        replies = federation.send({"fitins.parameters": model}, number=number)
        for records, made in zip(replies, federation.made[-3:], strict=True):
            got, wanted = toy.model_of(records["fitres.parameters"]), made["fitres.parameters"]
            assert np.array_equal(got["2"], wanted["2"])
            assert not np.array_equal(got["0"], wanted["0"])


def test_a_model_that_nodes_train_is_a_difference_also_where_each_has_its_own(tmp_path):
    federation = Federation(tmp_path, lambda received, place: {"arrays": trained(received["arrays"], seed=place)})
    models = {node: {"w": np.random.default_rng(node).normal(size=(64, 64)).astype(np.float32)} for node in (100, 101, 102)}
    for number in (1, 2, 3):
        replies = federation.send({}, number=number, each=lambda node, models=models: {"arrays": models[node]})
        if number == 1:
            assert all(equal(toy.record_of(s["arrays"]), m) for s, m in zip(federation.seen, models.values(), strict=True))
        models = {node: toy.model_of(r["arrays"]) for node, r in zip(models, replies, strict=True)}
    raw, sent = (
        {row.round: getattr(row, key) for row in federation.grid.ledger.rows} for key in ("raw_bytes", "wire_bytes")
    )
    assert sent[3] < raw[3] / 4


def test_a_rule_names_what_may_lose(tmp_path):
    rules = [RecordRule(record="gradients", lossy=True, tensors=("*", "!fc.bias"))]
    gradients = {name: value + 0 for name, value in WEIGHTS.items()}
    federation = Federation(tmp_path, lambda received, place: {"gradients": gradients}, rules=rules)
    (records, *_) = federation.send({"arrays": WEIGHTS})
    got = toy.model_of(records["gradients"])
    assert np.array_equal(got["fc.bias"], gradients["fc.bias"])
    assert not np.array_equal(got["fc.weight"], gradients["fc.weight"])
    assert np.abs(got["fc.weight"] - gradients["fc.weight"]).max() < 0.01


def test_a_rule_names_what_must_not_lose(tmp_path):
    rules = [RecordRule(message_type="train", lossy=False)]
    federation = Federation(tmp_path, lambda r, place: {"arrays": trained(r["arrays"], seed=place)}, rules=rules)
    for number in (1, 2, 3):
        replies = federation.send({"arrays": WEIGHTS}, number=number)
        assert all(equal(toy.record_of(seen["arrays"]), WEIGHTS) for seen in federation.seen)
        assert all(equal(r["arrays"], made["arrays"]) for r, made in zip(replies, federation.made[-3:], strict=True))


def test_two_models_in_a_message_are_named_by_rules(tmp_path):
    def answer(received, place):
        return {name: trained(model, seed=place) for name, model in received.items()}

    content = {"generator": WEIGHTS, "critic": trained(WEIGHTS, size=0.3)}
    sent = {}
    for rules in ((), [RecordRule(record="generator", lossy=True), RecordRule(record="critic", lossy=True)]):
        federation = Federation(tmp_path / str(len(rules)), answer, rules=rules)
        for number in (1, 2, 3):
            federation.send({n: trained(m, seed=number) for n, m in content.items()}, number=number)
        sent[len(rules)] = totals(federation.grid.ledger.rows).wire
    assert sent[2] < sent[0] / 2


@pytest.mark.parametrize("bad", [{"lossy": "yes"}, {"lossy": True, "record": 3}, {"lossy": True, "tensors": "w"}])
def test_bad_rules_are_refused(bad):
    with pytest.raises(BadArgument, match=r"lossy"):
        RecordRule(**bad)


SMALL = {
    "15 floats": {"coef": RNG.normal(size=(3, 4)), "intercept": RNG.normal(size=3)},
    "one number": {"x": np.array(0.5)},
    "100 floats": {"x": RNG.normal(size=(10, 10)).astype(np.float32)},
    "trees": {"0": np.frombuffer(RNG.bytes(3000), np.uint8)},
    "noise": {"x": RNG.integers(0, 2**64, 2000, dtype=np.uint64)},
    "random bits": {"bits": RNG.integers(0, 2**15, 3000).astype(np.uint16).view(np.float16)},
    "nothing": {},
    "many": {f"t{i}": RNG.normal(size=3).astype(np.float32) for i in range(40)},
    "a model": WEIGHTS,
}


@pytest.mark.parametrize("kind", ["train", "evaluate", "query"])
@pytest.mark.parametrize("name", SMALL)
def test_no_message_is_larger_than_plain_flowers_by_more_than_200_bytes(tmp_path, name, kind):
    model = SMALL[name]
    federation = Federation(tmp_path, lambda received, place: {"arrays": trained_or_same(received["arrays"], place)})
    for number in range(1, 4):
        federation.send({"arrays": model}, kind=kind, number=number)
    rows = federation.grid.ledger.rows
    assert max(row.wire_bytes - row.raw_bytes for row in rows) <= 200
    plain = RecordDict({"arrays": toy.record_of(model), "config": ConfigRecord({"server-round": 1})})
    sent = [message_size(message.content, "down") for message in federation.inner.sent]
    assert max(sent) <= message_size(plain, "down") + 200


def trained_or_same(model, place):
    move = 0.01 * (place + 1)
    return {n: np.asarray(v + v.dtype.type(move)) if v.dtype.kind == "f" and n != "bits" else v for n, v in model.items()}


def test_a_reply_without_models_carries_no_header(tmp_path):
    """Evaluation: the node's answer is as small as plain Flower's, and still counts as an acknowledgement."""
    federation = Federation(tmp_path, lambda received, place: {})
    for number in (1, 2):
        federation.send({"arrays": WEIGHTS}, kind="evaluate", number=number)
    assert all(row.wire_bytes == row.raw_bytes for row in federation.grid.ledger.rows if row.direction == "up")
    assert {row.kind for row in federation.grid.ledger.rows if row.round == 2 and row.direction == "down"} == {"none"}


def test_feedback_stays_right_where_a_reply_is_smaller_as_it_is(tmp_path):
    """What was lost is added once, whichever form the next reply has."""
    config = DomConfig(relative_error=0.9)
    seeds = itertools.count()
    options = {"feedback_up": True, "config": config, "nodes": 1}
    federation = Federation(tmp_path, lambda r, place: {"arrays": trained(r["arrays"], seed=next(seeds))}, **options)
    model = {"w": WEIGHTS["fc.weight"]}
    meant = got = 0.0
    for number in range(1, 9):
        replies = federation.send({"arrays": model}, number=number)
        received = federation.seen[-1]["arrays"]["w"].astype(np.float64)
        meant, got = (
            meant + federation.made[-1]["arrays"]["w"] - received,
            got + toy.model_of(replies[0]["arrays"])["w"] - received,
        )
    step = np.linalg.norm(federation.made[-1]["arrays"]["w"] - received)
    assert np.linalg.norm(meant - got) < 3 * step


def test_arrays_of_another_serialisation_pass(tmp_path):
    federation = Federation(tmp_path, lambda received, place: {})
    record = ArrayRecord({"x": Array("torch", (3,), "torch.Tensor", b"whatever" * 200)})
    message = Message(RecordDict({"arrays": record}), dst_node_id=100, message_type="train")
    with pytest.raises(TypeError, match=r"torch"):
        federation.grid.send_and_receive([message])  # the toy app reads it as numpy: Flower's own words
