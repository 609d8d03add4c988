"""Streams of a server: which one a model goes into, skips over missed versions, the kept state."""

import numpy as np
import pytest

import toy
from fedretina.dom import DomConfig, ReferenceStore, follow
from fedretina.errors import BadArgument, Corrupt, UnknownBase
from fedretina.flower import DomGrid, DomMod
from fedretina.flower.server_state import STATE_FILE, ServerState
from fedretina.flower.streams import NewModel
from fedretina.testing import LocalGrid


def moved(model, seed, size=0.01):
    rng = np.random.default_rng(seed)
    return {name: value + (size * rng.normal(size=value.shape)).astype(value.dtype) for name, value in model.items()}


def big(seed=0):
    return {"w": np.random.default_rng(seed).normal(size=(200, 300)).astype(np.float32)}


def published(streams, model, *, name="arrays", node=1, round_key=0, config=DomConfig(), feedback=False):
    return streams.publish(NewModel(name=name, model=model, node=node, round_key=round_key, feedback=feedback), config)


@pytest.fixture
def state(tmp_path):
    return ServerState.open(ReferenceStore(tmp_path / "store"), tmp_path / "streams")


@pytest.fixture
def streams(state):
    return state.streams


def test_the_same_model_is_encoded_once(streams):
    model = big()
    assert published(streams, model) is published(streams, model, node=2, round_key=1)
    assert streams.open("arrays").number == 1


def test_ten_missed_versions_cost_about_two_deltas(streams):
    model = big()
    first = published(streams, model).newest
    deltas = []
    for number in range(1, 11):
        model = moved(streams.open("arrays").newest.model, number)
        before = streams.open("arrays").newest.digest
        stream = published(streams, model, round_key=number)
        deltas.append(stream.route(before).size)
    route = stream.route(first.digest)
    assert route.kind == "skip"
    assert route.size < 2.5 * np.mean(deltas)
    assert follow(route.payloads, base=first) == stream.newest
    assert stream.route(first.digest).payloads[0] is route.payloads[0]  # made once


def test_models_that_differ_at_one_moment_are_no_versions_of_each_other(streams):
    first = [published(streams, big(node), node=node).name for node in range(3)]
    assert first == ["arrays", "arrays@1", "arrays@2"]
    again = [published(streams, moved(big(node), 9), node=node, round_key=1).name for node in (2, 0, 1)]
    assert again == ["arrays@2", "arrays", "arrays@1"]


def test_the_same_model_under_another_name_goes_on_in_its_stream(streams):
    model = big()
    published(streams, model, name="fitins.parameters")
    assert published(streams, moved(model, 1), name="evaluateins.parameters", round_key=1).name == "fitins.parameters"
    assert published(streams, big(5), name="critic", round_key=2).name == "critic"


def test_two_models_of_one_message_stay_apart(streams):
    model = big()
    assert [published(streams, m, name=n).name for n, m in (("a", model), ("b", moved(model, 1)))] == ["a", "b"]


def test_lossless_is_lossless_also_for_what_was_sent_otherwise(streams):
    model = big()
    assert not np.array_equal(published(streams, model).newest.model["w"], model["w"])
    stream = published(streams, model, round_key=1, config=DomConfig(lossless=True))
    assert np.array_equal(stream.newest.model["w"], model["w"])
    assert published(streams, model, round_key=2) is stream
    assert stream.number == 2


def test_feedback_down_brings_back_what_was_lost_and_is_kept(state, tmp_path):
    streams, coarse, model = state.streams, DomConfig(relative_error=0.5), big()
    published(streams, model, config=coarse, feedback=True)
    wanted, sent = 0.0, 0.0
    for number in range(1, 7):
        base = streams.open("arrays").newest.model
        step = moved({"w": np.full_like(base["w"], 0.01)}, number)["w"]
        newest = published(streams, {"w": base["w"] + step}, round_key=number, config=coarse, feedback=True).newest
        wanted, sent = wanted + step, sent + newest.model["w"] - base["w"]
        state.save()
        state = ServerState.open(ReferenceStore(tmp_path / "store"), tmp_path / "streams")
        streams = state.streams
    assert np.linalg.norm(wanted - sent) < np.linalg.norm(step)  # the last loss, not the sum of all


def test_a_state_that_is_none_is_named(state, streams, tmp_path):
    published(streams, big())
    state.save()
    (tmp_path / "streams" / STATE_FILE).write_text("[]")
    with pytest.raises(Corrupt, match="remove it"):
        ServerState.open(ReferenceStore(tmp_path / "store"), tmp_path / "streams")


def test_streams_of_any_name_have_a_folder(state, streams, tmp_path):
    for name in ("../up", ".hidden", "a/b", ""):
        published(streams, big(len(name)), name=name, round_key=name)
    state.save()
    again = ServerState.open(ReferenceStore(tmp_path / "store"), tmp_path / "streams").streams
    assert again.names() == streams.names()
    assert all(again.open(name).newest == streams.open(name).newest for name in again.names())
    assert {path.parent for path in tmp_path.glob("*")} == {tmp_path}
    assert len(list((tmp_path / "streams").iterdir())) == 5


def test_a_base_that_the_server_lost_is_unknown(streams):
    with pytest.raises(UnknownBase, match="does not hold"):
        streams.version("0" * 64)


def test_a_thousand_nodes_cost_one_encode(tmp_path, monkeypatch):
    inner = LocalGrid(toy.app(DomMod(tmp_path / "nodes")), 50)
    grid, calls = DomGrid(inner, store=tmp_path / "server"), []
    publish = grid.streams.publish
    monkeypatch.setattr(grid.streams, "publish", lambda *args, **options: calls.append(1) or publish(*args, **options))
    record = toy.record_of(toy.start())
    grid.send_and_receive([toy.ask(record, node) for node in inner.contexts])
    assert len(calls) == 1
    assert len({id(message.content["arrays"]) for message in inner.sent}) == 1
    seconds = [row.encode_s for row in grid.ledger.rows if row.direction == "down"]
    assert sum(second > 0 for second in seconds) == 1


def test_what_is_wrong_is_said_at_once(tmp_path):
    inner = LocalGrid(toy.app(), 1)
    with pytest.raises(BadArgument, match="cache_bytes"):
        DomGrid(inner, store=tmp_path, cache_bytes=0)
