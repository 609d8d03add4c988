"""`Stream.relay` keeps a payload undecoded; versions and routes are the same as after `accept`."""

from dataclasses import replace

import numpy as np
import pytest

from fedretina.dom import DomConfig, ReferenceStore, Stream
from fedretina.dom.format.envelope import read_envelope, write_envelope
from fedretina.errors import Corrupt, UnknownBase

LATTICE = DomConfig(lattice=True, effort="fast")


def models(count, seed=0):
    rng = np.random.default_rng(seed)
    model = {"w": rng.standard_normal((40, 50)).astype(np.float32), "n": np.array(0)}
    for number in range(count):
        yield model | {"n": np.array(number)} | ({"late": np.ones(3, np.float32)} if number > 2 else {})
        model = model | {"w": model["w"] + (1e-2 * rng.standard_normal((40, 50))).astype(np.float32)}


def published(folder, count):
    maker = Stream("maker", store=ReferenceStore(folder / "maker"), config=LATTICE)
    return [maker.publish(model).payload for model in models(count)]


def server(root, **options):
    return Stream("server", store=ReferenceStore(root / "server"), config=LATTICE, **options)


def with_wrong_digest(payload):
    """Return a payload as a dishonest maker sends it: sound, but it leads to another version than it says."""
    return write_envelope(replace(read_envelope(payload), result=bytes(32)))


@pytest.fixture
def no_decoding(monkeypatch):
    monkeypatch.setattr("fedretina.dom.versions.stream.accept", lambda *_, **__: pytest.fail("decoded"))


@pytest.mark.usefixtures("no_decoding")
def test_payloads_are_relayed_undecoded(tmp_path):
    payloads, stream = published(tmp_path, 5), server(tmp_path)
    for number, payload in enumerate(payloads, start=1):
        link = stream.relay(payload)
        assert (link.number, stream.number, stream.log.newest) == (number, number, link.digest)
        assert stream.route(link.base).payloads == (payload,)
    assert stream.relay(payloads[0]).number == 1  # a repeated payload changes nothing
    assert stream.number == 5


def test_dtypes_and_shapes_are_known_without_decoding(tmp_path):
    stream = server(tmp_path)
    for payload, model in zip(published(tmp_path, 5), models(5), strict=True):
        stream.relay(payload)
        assert {name: (spec.dtype, spec.shape) for name, spec in stream.tensors.items()} == {
            name: (array.dtype, array.shape) for name, array in model.items()
        }


def test_versions_and_routes_are_those_after_accept(tmp_path):
    payloads = published(tmp_path, 6)
    accepting = Stream("server", store=ReferenceStore(tmp_path / "accepting"), config=LATTICE)
    relaying = server(tmp_path)
    digests = [accepting.accept(payload).digest for payload in payloads]
    assert [relaying.relay(payload).digest for payload in payloads] == digests
    for holds in (None, *digests, "0" * 64):
        assert relaying.route(holds) == accepting.route(holds)
    assert relaying.newest == accepting.newest
    assert all(relaying.version(digest) == accepting.version(digest) for digest in digests)


def test_a_version_that_is_older_or_unknown(tmp_path):
    stream = server(tmp_path)
    first, second = (stream.relay(payload).digest for payload in published(tmp_path, 2))
    assert stream.version(first).digest == first
    assert stream.version(second) == stream.newest
    with pytest.raises(UnknownBase, match="not held"):
        stream.version("0" * 64)


def test_payloads_over_the_limit_are_decoded(tmp_path):
    payloads = published(tmp_path, 5)
    stream = server(tmp_path, max_pending_bytes=len(payloads[-1]))
    links = [stream.relay(payload) for payload in payloads]
    assert [link.digest in stream.store for link in links] == [True, True, True, True, False]


def test_more_payloads_are_kept_than_asked_for_while_they_wait(tmp_path):
    stream = server(tmp_path, keep=2)
    payloads = published(tmp_path, 6)
    for payload in payloads[:5]:
        stream.relay(payload)
    assert len(stream.log.links) == 5
    assert stream.newest is not None
    stream.relay(payloads[5])
    assert len(stream.log.links) == 2


def test_a_payload_on_an_older_version_is_decoded_at_once(tmp_path):
    maker = Stream("maker", store=ReferenceStore(tmp_path / "maker"), config=LATTICE)
    first, second, third = (maker.publish(model) for model in models(3))
    stream = server(tmp_path)
    stream.relay(first.payload)
    stream.relay(second.payload)
    fork = Stream("fork", store=maker.store, config=LATTICE)
    fork.accept(first.payload)
    other = fork.publish({"w": np.ones((40, 50), np.float32), "n": np.array(9)})
    assert stream.relay(other.payload).digest == other.digest
    assert stream.newest == fork.newest
    with pytest.raises(UnknownBase):
        server(tmp_path / "empty").relay(third.payload)


def test_a_corrupt_version_is_discarded_when_it_is_decoded(tmp_path, caplog):
    payloads = published(tmp_path, 2)
    stream = server(tmp_path)
    first = stream.relay(payloads[0])
    bad = stream.relay(with_wrong_digest(payloads[1]))
    with pytest.raises(Corrupt, match=r"stream 'server': version 2 \(0000"):
        stream.newest  # noqa: B018
    assert (stream.newest.digest, stream.number, stream.discarded) == (first.digest, 1, {bad.digest})
    assert "version 2 (00000000) was relayed and is corrupt" in caplog.text
    assert f"in force is version 1 ({first.digest[:8]})" in caplog.text
    with pytest.raises(Corrupt, match="discarded"):
        stream.version(bad.digest)
    stream.relay(payloads[1])
    assert stream.newest.digest == stream.log.newest


def test_a_corrupt_version_does_not_refuse_the_next_payload(tmp_path):
    payloads = published(tmp_path, 2)
    stream = server(tmp_path)
    stream.relay(payloads[0])
    stream.relay(with_wrong_digest(payloads[1]))
    stream.accept(payloads[1])
    assert stream.number == 2
    assert stream.newest.digest == stream.log.newest != "0" * 64


def test_what_needs_no_decoding_is_checked_at_once(tmp_path):
    payloads = published(tmp_path, 2)
    stream = server(tmp_path)
    damaged = bytearray(payloads[0])
    damaged[-1] ^= 1
    with pytest.raises(Corrupt, match="check sum"):
        stream.relay(bytes(damaged))
    with pytest.raises(Corrupt, match="allowed here: 100"):
        stream.relay(payloads[0], max_bytes=100)
    shorter = replace(read_envelope(payloads[0]), body=read_envelope(payloads[0]).body[:-1])
    with pytest.raises(Corrupt, match="pieces"):
        stream.relay(write_envelope(shorter))
    assert (stream.number, stream.tensors) == (0, {})


def test_a_server_that_starts_again_has_what_was_relayed(tmp_path):
    payloads = published(tmp_path, 4)
    stream = server(tmp_path, folder=tmp_path / "log")
    for payload in payloads[:3]:
        stream.relay(payload)
    again = server(tmp_path, folder=tmp_path / "log")
    assert (again.number, again.newest) == (3, stream.newest)
    stream.relay(with_wrong_digest(payloads[3]))
    again = server(tmp_path, folder=tmp_path / "log")
    assert (again.number, again.newest.digest) == (3, again.log.newest)
