import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedretina.dom import DomConfig, ReferenceStore, Stream, digest, follow, inspect
from fedretina.dom.quantisation.lossless import common_unit
from fedretina.dom.quantisation.quantise import Pair
from fedretina.errors import BadArgument, Corrupt, Truncated, UnknownBase

LATTICE = DomConfig(lattice=True, effort="fast")


def _models(count, seed=0, dtype=np.float32, size=4000):
    """Versions of a model as training makes them, with a constant tensor, a counter and a frozen one."""
    rng = np.random.default_rng(seed)
    weight = rng.standard_normal(size).reshape(40, -1)
    for step in range(count):
        yield {
            "weight": weight.astype(dtype),
            "bias": weight[0, :20].astype(dtype),
            "running_var": np.abs(weight[1]).astype(dtype),
            "steps": np.array(step),
            "frozen": np.ones(9, dtype),
        }
        weight = weight + 1e-2 * 0.85**step * rng.standard_normal(weight.shape)


@pytest.fixture
def stream(tmp_path):
    return Stream("test", store=ReferenceStore(tmp_path / "store"), config=LATTICE)


def test_numbers_and_kinds(stream):
    assert (stream.number, stream.newest) == (0, None)
    links = [stream.publish(model) for model in _models(4)]
    assert [link.number for link in links] == [1, 2, 3, 4]
    assert [link.base for link in links] == [None, *(link.digest for link in links[:-1])]
    assert stream.newest.digest == links[-1].digest
    assert stream.route(links[3].digest).kind == "none"
    assert stream.route(links[3].digest).payloads == ()
    assert stream.route(links[2].digest).kind == "delta"
    assert stream.route(links[2].digest).payloads == (links[3].payload,)
    assert stream.route(links[0].digest).kind == "skip"


def test_the_keyframe_is_relayed_while_it_is_the_newest(stream):
    (model,) = _models(1)
    link = stream.publish(model)
    assert (stream.route(None).kind, stream.route(None).payloads) == ("keyframe", (link.payload,))


def test_an_unknown_version_gets_what_nothing_gets(stream):
    for model in _models(3):
        stream.publish(model)
    assert stream.route("0" * 64) == stream.route(None)


def test_published_versions_do_not_drift(stream):
    for model in _models(30):
        stream.publish(model)
    error = np.linalg.norm(stream.newest.model["weight"] - model["weight"])
    assert error < 0.02 * np.linalg.norm(model["weight"])


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.float64])
def test_any_two_versions_differ_by_integers(dtype, tmp_path):
    stream = Stream("test", store=ReferenceStore(tmp_path), config=LATTICE)
    versions = []
    for model in _models(12, dtype=dtype):
        stream.publish(model)
        versions.append(stream.newest.model)
    for early in range(len(versions)):
        for late in range(early + 1, len(versions)):
            for name in ("weight", "bias", "running_var"):
                pair = Pair(versions[late][name].reshape(-1), versions[early][name].reshape(-1))
                assert common_unit(pair) is not None, (early, late, name)


def test_a_skip_costs_far_less_than_the_chain(tmp_path):
    stream = Stream("test", store=ReferenceStore(tmp_path), config=LATTICE)
    links = [stream.publish(model) for model in _models(11, size=40_000)]
    chain = sum(len(link.payload) for link in links[1:])
    assert stream.route(links[0].digest).size < 0.45 * chain


def test_a_skip_is_made_once(stream, monkeypatch):
    links = [stream.publish(model) for model in _models(4)]
    first = stream.route(links[0].digest)
    monkeypatch.setattr("fedretina.dom.versions.stream.publish", None)
    assert stream.route(links[0].digest) == first


def test_a_relay_computes_nothing(stream, monkeypatch):
    links = [stream.publish(model) for model in _models(4)]
    monkeypatch.setattr("fedretina.dom.versions.stream.publish", None)
    assert stream.route(links[2].digest).kind == "delta"


def test_forgotten_payloads_are_replaced_by_exact_ones(tmp_path):
    stream = Stream("test", store=ReferenceStore(tmp_path), config=LATTICE, keep=2)
    links = [stream.publish(model) for model in _models(6)]
    assert stream.route(None).kind == "lossless"
    assert stream.route(links[0].digest).kind == "skip"
    (tmp_path / f"{links[1].digest}.ref").unlink()
    assert stream.route(links[1].digest) == stream.route(None)


def test_off_the_lattice_the_chain_is_sent(tmp_path):
    stream = Stream("test", store=ReferenceStore(tmp_path), config=DomConfig(bits=2))
    links = [stream.publish(model) for model in _models(4)]
    route = stream.route(links[0].digest)
    assert route.kind == "chain"
    assert route.payloads == tuple(link.payload for link in links[1:])
    assert follow(route.payloads, base=stream.store.get(links[0].digest)) == stream.newest


def test_a_relaying_server_holds_what_the_maker_published(stream, tmp_path):
    server = Stream("test", store=ReferenceStore(tmp_path / "server"), config=LATTICE)
    for model in _models(4):
        link = stream.publish(model)
        assert server.accept(link.payload) == link
        assert server.newest == stream.newest


def test_a_server_that_missed_versions_accepts_a_way(stream, tmp_path):
    server = Stream("test", store=ReferenceStore(tmp_path / "server"), config=LATTICE)
    links = [stream.publish(model) for model in _models(5)]
    server.accept(links[0].payload)
    with pytest.raises(UnknownBase, match=f"{links[3].digest[:8]}, newest held is {links[0].digest[:8]}"):
        server.accept(links[4].payload)
    assert server.newest.digest == links[0].digest
    for payload in stream.route(server.newest.digest).payloads:
        server.accept(payload)
    assert server.newest == stream.newest
    assert server.route(links[0].digest).kind == "delta"


def test_a_replayed_payload_rolls_nothing_back(stream, tmp_path):
    server = Stream("test", store=ReferenceStore(tmp_path / "server"), config=LATTICE)
    links = [server.accept(stream.publish(model).payload) for model in _models(4)]
    for link in links:
        assert server.accept(link.payload) == link
        assert (server.newest, server.number) == (stream.newest, 4)


def test_a_bad_payload_leaves_the_newest_version_in_force(stream):
    first, second = _models(2)
    stream.publish(first)
    other = Stream("other", store=stream.store, config=LATTICE)
    other.publish(first)
    payload = other.publish(second).payload
    before = stream.newest
    for bad, error in ((payload[:-9], Truncated), (payload[:-1] + b"x", Corrupt)):
        with pytest.raises(error):
            stream.accept(bad)
        assert (stream.newest, stream.number) == (before, 1)


def test_publishing_the_same_again(stream):
    (model,) = _models(1)
    links = [stream.publish(model)]
    links += [stream.publish(dict(stream.newest.model)) for _ in range(2)]
    assert len({link.digest for link in links}) == 1
    assert stream.number == 3
    assert stream.route(links[0].digest).kind == "none"
    assert follow(stream.route(None).payloads, base=None) == stream.newest


def test_resumes_from_its_folder(tmp_path):
    def open_stream(store="store"):
        return Stream("t", store=ReferenceStore(tmp_path / store), config=LATTICE, keep=4, folder=tmp_path / "links")

    models = list(_models(8))
    stream = open_stream()
    links = [stream.publish(model) for model in models[:7]]
    again = open_stream()
    assert (again.number, again.newest) == (7, stream.newest)
    assert again.route(links[4].digest).size == stream.route(links[4].digest).size
    assert len(list((tmp_path / "links").iterdir())) == 4
    assert again.publish(models[7]).payload == stream.publish(models[7]).payload
    assert open_stream("empty store").number == 0


def test_a_lost_store_is_rebuilt_from_the_keyframe(tmp_path):
    stream = Stream("t", store=ReferenceStore(tmp_path / "a"), config=LATTICE, folder=tmp_path / "links")
    for model in _models(3):
        stream.publish(model)
    again = Stream("t", store=ReferenceStore(tmp_path / "b"), config=LATTICE, folder=tmp_path / "links")
    assert (again.number, again.newest) == (3, stream.newest)


def test_damaged_links_are_passed_over(tmp_path):
    store = ReferenceStore(tmp_path / "store")
    stream = Stream("t", store=store, config=LATTICE, folder=tmp_path / "links")
    links = [stream.publish(model) for model in _models(3)]
    (tmp_path / "links" / "00000003.dom").write_bytes(links[2].payload[:50])
    (tmp_path / "links" / "note.txt").write_text("not ours")
    again = Stream("t", store=store, config=LATTICE, folder=tmp_path / "links")
    assert (again.number, again.newest.digest) == (2, links[1].digest)
    assert (tmp_path / "links" / "note.txt").exists()


def test_bad_arguments(stream, tmp_path):
    with pytest.raises(BadArgument, match="keep"):
        Stream("t", store=stream.store, config=LATTICE, keep=0)
    with pytest.raises(BadArgument, match="'test' has no version"):
        stream.route(None)
    with pytest.raises(BadArgument, match="neither"):
        follow((), base=None)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(BadArgument, match="cannot be made"):
        Stream("t", store=stream.store, config=LATTICE, folder=tmp_path / "file")


CONFIGS = st.sampled_from([LATTICE, DomConfig(lattice=True), DomConfig(), DomConfig(bits=4), DomConfig(lossless=True)])


@settings(max_examples=25, deadline=None)
@given(
    config=CONFIGS,
    dtype=st.sampled_from([np.float32, np.float16, np.float64]),
    keep=st.integers(1, 6),
    history=st.lists(st.tuples(*[st.booleans()] * 3, st.booleans()), min_size=1, max_size=8),
    seed=st.integers(0, 1000),
)
def test_every_way_ends_in_the_same_version(config, dtype, keep, history, seed, tmp_path_factory):
    """Three receivers miss versions at random; versions vanish from the store at random."""
    store = ReferenceStore(tmp_path_factory.mktemp("store"))
    stream = Stream("test", store=store, config=config, keep=keep)
    receivers = [None, None, None]
    links = []
    for model, (*listening, forget) in zip(_models(len(history), seed, dtype, 400), history, strict=False):
        links.append(stream.publish(model))
        if forget and len(links) > 1:
            (store.folder / f"{links[-2].digest}.ref").unlink(missing_ok=True)
        for index, listens in enumerate(listening):
            held = receivers[index]
            if not listens:
                continue
            route = stream.route(None if held is None else held.digest)
            receivers[index] = follow(route.payloads, base=held)
            assert receivers[index] == stream.newest
            assert digest(receivers[index].model) == stream.newest.digest
            assert route.size <= _chain_bytes(links[-keep:], held)
            assert sum(inspect(payload).payload_bytes for payload in route.payloads) == route.size


def _chain_bytes(kept, held):
    """What the missed payloads cost, if all of them are still there."""
    holds = None if held is None else held.digest
    for at in range(len(kept), -1, -1):
        if at and kept[at - 1].digest == holds:
            return sum(len(link.payload) for link in kept[at:])
        if at < len(kept) and kept[at].base == holds:
            return sum(len(link.payload) for link in kept[at:])
    return float("inf")


@pytest.mark.parametrize(
    "config", [DomConfig(rms_step=2.0, lattice=True), DomConfig(step=1e-3, lattice=True), DomConfig(bits=3)]
)
def test_a_receiver_that_missed_versions_gets_an_exact_payload(tmp_path, config):
    stream = Stream("test", store=ReferenceStore(tmp_path), config=config, keep=2)
    models = [*_models(6)]
    versions = [stream.publish(model) and stream.newest for model in models]
    for held in (versions[0], None):
        route = stream.route(None if held is None else held.digest)
        assert follow(route.payloads, base=held) == stream.newest
        assert inspect(route.payloads[-1]).lossless


def test_rotated_versions_are_followed_one_by_one(tmp_path):
    stream = Stream("test", store=ReferenceStore(tmp_path), config=DomConfig(rms_step=2.0, rotated=True))
    for model in _models(4):
        stream.publish(model)
    assert follow(stream.route(None).payloads, base=None) == stream.newest
