import numpy as np
import pytest

from fedretina.dom import DomConfig, PayloadLog, ReferenceStore, Stream, follow
from fedretina.errors import BadArgument, Corrupt, Truncated, UnknownBase

LATTICE = DomConfig(lattice=True, effort="fast")


@pytest.fixture
def stream(tmp_path):
    """A maker with five versions."""
    stream = Stream("test", store=ReferenceStore(tmp_path / "store"), config=LATTICE)
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((20, 30))
    for _ in range(5):
        stream.publish({"weight": weight.astype(np.float32)})
        weight = weight + 1e-2 * rng.standard_normal(weight.shape)
    return stream


@pytest.fixture
def log(stream):
    log = PayloadLog("test")
    for link in stream.log.links:
        log.append(link.payload)
    return log


def test_a_log_relays_what_the_stream_relays(stream, log):
    assert log.links == stream.log.links
    assert (log.number, log.newest) == (stream.number, stream.newest.digest)
    *_, before, newest = log.links
    assert log.route(before.digest) == stream.route(before.digest)
    assert log.route(before.digest).payloads == (newest.payload,)
    assert log.route(newest.digest).kind == "none"


@pytest.mark.parametrize("held", [None, 0, 1, 2, 3])
def test_every_route_ends_in_the_newest_version(stream, log, held):
    base = None if held is None else stream.store.get(log.links[held].digest)
    route = log.route(None if base is None else base.digest)
    assert route.kind == {None: "keyframe", 3: "delta"}.get(held, "chain")
    assert follow(route.payloads, base=base) == stream.newest


def test_nothing_is_decoded(stream, monkeypatch):
    """Neither pcodec nor the header of a payload is read."""
    for name in ("codec.read_header", "inspect.read_header", "decoder.unpack", "decoder.restore"):
        monkeypatch.setattr(f"fedretina.dom.format.{name}", None)
    log = PayloadLog("test")
    for link in stream.log.links:
        assert log.append(link.payload) == link
        assert log.route(link.base).payloads == (link.payload,)


def test_a_payload_on_an_unknown_version_is_refused(stream, log):
    first, _, third, *_ = stream.log.links
    short = PayloadLog("test")
    with pytest.raises(UnknownBase, match=f"{third.base[:8]}, newest kept is none; ask the maker for a keyframe"):
        short.append(third.payload)
    short.append(first.payload)
    with pytest.raises(UnknownBase, match=f"newest kept is {first.digest[:8]}"):
        short.append(third.payload)
    assert short.newest == first.digest


def test_a_replayed_payload_rolls_nothing_back(log):
    newest = log.newest
    for link in log.links:
        assert log.append(link.payload) == link
    assert (log.newest, log.number) == (newest, 5)


def test_a_bad_payload_leaves_the_log_as_it_is(stream):
    log = PayloadLog("test")
    payload = stream.log.links[0].payload
    for bad, error in ((payload[:-9], Truncated), (payload[:-1] + b"x", Corrupt)):
        with pytest.raises(error):
            log.append(bad)
        assert log.links == ()


def test_without_a_keyframe_a_newcomer_has_no_route(stream):
    log = PayloadLog("test", keep=2)
    for link in stream.log.links:
        log.append(link.payload)
    assert log.route(None) is None
    assert log.route(stream.log.links[2].digest).kind == "chain"


def test_resumes_from_its_folder(stream, tmp_path):
    log = PayloadLog("test", keep=3, folder=tmp_path / "links")
    for link in stream.log.links:
        log.append(link.payload)
    assert PayloadLog("test", keep=3, folder=tmp_path / "links").links == log.links == stream.log.links[2:]


def test_bad_arguments():
    with pytest.raises(BadArgument, match="keep is 0, for stream 'test'; allowed: at least 1"):
        PayloadLog("test", keep=0)
    with pytest.raises(BadArgument, match="'test' has no version"):
        PayloadLog("test").route(None)


def test_a_path_leads_to_any_kept_version_with_the_fewest_bytes(stream, log):
    first, second, third, *_ = log.links
    assert log.path(None, third.digest) == [first, second, third]
    assert log.path(second.digest, third.digest) == [third]
    assert log.path("unknown", second.digest) == [first, second]
    assert log.path(None, "unknown") == []
