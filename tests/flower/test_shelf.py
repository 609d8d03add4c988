"""Streams on the shelf: which one a model goes into, skips over missed versions, the kept state."""

import numpy as np
import pytest

import toy
from fedretina.dom import DomConfig, ReferenceStore, follow
from fedretina.errors import BadArgument, Corrupt, UnknownBase
from fedretina.flower import DomGrid, DomMod
from fedretina.flower.shelf import STATE, Shelf
from fedretina.testing import LocalGrid


def moved(model, seed, size=0.01):
    rng = np.random.default_rng(seed)
    return {name: value + (size * rng.normal(size=value.shape)).astype(value.dtype) for name, value in model.items()}


def big(seed=0):
    return {"w": np.random.default_rng(seed).normal(size=(200, 300)).astype(np.float32)}


def placed(shelf, model, *, name="arrays", node=1, moment=0, config=DomConfig(), back=False):
    return shelf.place(name, model, config=config, node=node, moment=moment, back=back)


@pytest.fixture
def shelf(tmp_path):
    return Shelf(ReferenceStore(tmp_path / "store"), tmp_path / "streams")


def test_the_same_model_is_encoded_once(shelf):
    model = big()
    assert placed(shelf, model) is placed(shelf, model, node=2, moment=1)
    assert shelf.stream("arrays").number == 1


def test_ten_missed_versions_cost_about_two_deltas(shelf):
    model = big()
    first = placed(shelf, model).newest
    deltas = []
    for number in range(1, 11):
        model = moved(shelf.stream("arrays").newest.model, number)
        before = shelf.stream("arrays").newest.digest
        stream = placed(shelf, model, moment=number)
        deltas.append(stream.way(before).size)
    way = stream.way(first.digest)
    assert way.kind == "skip"
    assert way.size < 2.5 * np.mean(deltas)
    assert follow(way.payloads, base=first) == stream.newest
    assert stream.way(first.digest).payloads[0] is way.payloads[0]  # made once


def test_models_that_differ_at_one_moment_are_no_versions_of_each_other(shelf):
    streams = [placed(shelf, big(node), node=node) for node in range(3)]
    assert [stream.name for stream in streams] == ["arrays", "arrays@1", "arrays@2"]
    again = [placed(shelf, moved(big(node), 9), node=node, moment=1).name for node in (2, 0, 1)]
    assert again == ["arrays@2", "arrays", "arrays@1"]


def test_the_same_model_under_another_name_goes_on_in_its_stream(shelf):
    model = big()
    placed(shelf, model, name="fitins.parameters")
    assert placed(shelf, moved(model, 1), name="evaluateins.parameters", moment=1).name == "fitins.parameters"
    assert placed(shelf, big(5), name="critic", moment=2).name == "critic"


def test_two_models_of_one_message_stay_apart(shelf):
    model = big()
    assert [placed(shelf, m, name=n).name for n, m in (("a", model), ("b", moved(model, 1)))] == ["a", "b"]


def test_lossless_is_lossless_also_for_what_was_sent_otherwise(shelf):
    model = big()
    assert not np.array_equal(placed(shelf, model).newest.model["w"], model["w"])
    stream = placed(shelf, model, moment=1, config=DomConfig(lossless=True))
    assert np.array_equal(stream.newest.model["w"], model["w"])
    assert placed(shelf, model, moment=2) is stream
    assert stream.number == 2


def test_feedback_down_brings_back_what_was_lost_and_is_kept(shelf, tmp_path):
    coarse, model = DomConfig(relative_error=0.5), big()
    placed(shelf, model, config=coarse, back=True)
    wanted, sent = 0.0, 0.0
    for number in range(1, 7):
        base = shelf.stream("arrays").newest.model
        step = moved({"w": np.full_like(base["w"], 0.01)}, number)["w"]
        newest = placed(shelf, {"w": base["w"] + step}, moment=number, config=coarse, back=True).newest
        wanted, sent = wanted + step, sent + newest.model["w"] - base["w"]
        shelf.save()
        shelf = Shelf(ReferenceStore(tmp_path / "store"), tmp_path / "streams")
    assert np.linalg.norm(wanted - sent) < np.linalg.norm(step)  # the last loss, not the sum of all


def test_a_state_that_is_none_is_named(shelf, tmp_path):
    placed(shelf, big())
    shelf.save()
    (tmp_path / "streams" / STATE).write_text("[]")
    with pytest.raises(Corrupt, match="remove it"):
        Shelf(ReferenceStore(tmp_path / "store"), tmp_path / "streams")


def test_streams_of_any_name_have_a_folder(shelf, tmp_path):
    for name in ("../up", ".hidden", "a/b", ""):
        placed(shelf, big(len(name)), name=name, moment=name)
    shelf.save()
    again = Shelf(ReferenceStore(tmp_path / "store"), tmp_path / "streams")
    assert again.streams.keys() == shelf.streams.keys()
    assert all(again.stream(name).newest == shelf.stream(name).newest for name in again.streams)
    assert {path.parent for path in tmp_path.glob("*")} == {tmp_path}
    assert len(list((tmp_path / "streams").iterdir())) == 5


def test_a_base_that_the_server_lost_is_unknown(shelf):
    with pytest.raises(UnknownBase, match="does not hold"):
        shelf.version("0" * 64)


def test_a_thousand_nodes_cost_one_encode(tmp_path, monkeypatch):
    inner = LocalGrid(toy.app(DomMod(tmp_path / "nodes")), 50)
    grid, calls = DomGrid(inner, store=tmp_path / "server"), []
    publish = grid.shelf.place
    monkeypatch.setattr(grid.shelf, "place", lambda *args, **options: calls.append(1) or publish(*args, **options))
    record = toy.record_of(toy.start())
    grid.send_and_receive([toy.ask(record, node) for node in inner.contexts])
    assert len(calls) == 1
    assert len({id(message.content["arrays"]) for message in inner.sent}) == 1
    seconds = [row.encode_s for row in grid.ledger.rows if row.direction == "down"]
    assert sum(second > 0 for second in seconds) == 1


def test_what_is_wrong_is_said_at_once(tmp_path):
    inner = LocalGrid(toy.app(), 1)
    with pytest.raises(BadArgument, match="pool_bytes"):
        DomGrid(inner, store=tmp_path, pool_bytes=0)
    with pytest.raises(BadArgument, match="feedback_up"):
        DomGrid(inner, store=tmp_path, uplink="stream", feedback_up=True)
