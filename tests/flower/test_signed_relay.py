"""Signed relay: what the server refuses of domains, and what nodes refuse of the server."""

from dataclasses import replace

import numpy as np
import pytest
from flwr.app import ConfigRecord

from fedretina.dom import DomConfig, ReferenceStore
from fedretina.errors import Corrupt
from fedretina.flower import SignedModels, SignedRelay
from fedretina.flower.payload_relay import KEYFRAME_EVERY
from fedretina.flower.signed_relay import NAME
from fedretina.trust import (
    Endless,
    Forged,
    Frozen,
    MixAndMatch,
    Replayed,
    RolledBack,
    SimulatedCity,
    UnknownSigner,
    Unsealed,
)

CITY = SimulatedCity(["mill", "port", "dock"], seed=0)


def model(number):
    return {"w": np.random.default_rng(number).normal(size=(64, 64)).astype(np.float32)}


@pytest.fixture
def ends(tmp_path):
    def node(name, machine=""):
        store = ReferenceStore(tmp_path / f"models{machine}" / name)
        return SignedModels(store, DomConfig(), CITY.identity(tmp_path / f"identities{machine}" / name, name))

    return SignedRelay(CITY.identity(tmp_path / "server", "server")), node


def publish(relay, node, stream, number):
    reply = node.publish(stream, model(number), relay.request(stream, []))
    relay.receive(stream, reply)
    return reply


def statements(content, **changes):
    """Return the record of statements with some of them replaced, or left out (None)."""
    record = content.config_records[NAME]
    found = dict(zip(record["streams"], record["statements"], strict=True)) | changes
    kept = {stream: statement for stream, statement in found.items() if statement is not None}
    return ConfigRecord({"newest": record["newest"], "streams": list(kept), "statements": list(kept.values())})


def attacks(node):
    return node.identity.verifier.memory.attacks


def held(node):
    return node.store.size


def test_a_receiver_gets_signed_bits_however_many_versions_it_missed(ends):
    relay, node = ends
    mill, port = node("mill"), node("port")
    for number in range(2 * KEYFRAME_EVERY + 1):
        publish(relay, mill, "mill", number)
        if number % 3:
            request = relay.request("port", ["mill"])
            got = port.receive(request)["mill"]["w"]
            relay.acknowledge("port", request)
            assert (got == mill.own(relay.request("mill", []))["w"]).all()
    assert port.identity.verifier.memory.installed("mill")[0] == 2 * KEYFRAME_EVERY + 1
    assert not attacks(port)


def test_the_server_keeps_no_version_that_its_domain_did_not_sign(ends):
    relay, node = ends
    mill, port = node("mill"), node("port")
    publish(relay, mill, "mill", 0)
    newest = relay.newest("mill")
    reply = mill.publish("mill", model(1), relay.request("mill", []))
    other = publish(relay, port, "port", 2)
    unsigned = {**reply, NAME: statements(reply, mill=None)}
    forged = {**reply, NAME: statements(reply, mill=statements(other)["statements"][0])}
    swapped = {"mill": other.array_records["port"], NAME: reply.config_records[NAME]}
    for content, error in ((unsigned, UnknownSigner), (forged, UnknownSigner), (swapped, Endless)):
        with pytest.raises(error):
            relay.receive("mill", type(reply)(content))
        assert relay.newest("mill") == newest
    relay.receive("mill", reply)
    assert relay.newest("mill") != newest


def test_an_old_reply_is_refused(ends):
    relay, node = ends
    mill = node("mill")
    first = publish(relay, mill, "mill", 0)
    publish(relay, mill, "mill", 1)
    with pytest.raises(RolledBack):
        relay.receive("mill", first)
    assert relay.version("mill") == 2


def test_a_domain_that_is_not_in_the_city_is_refused(ends, tmp_path):
    relay, _ = ends
    other = SimulatedCity(["mill", "port", "dock"], seed=1)
    stranger = SignedModels(ReferenceStore(tmp_path / "s"), DomConfig(), other.identity(tmp_path / "stranger", "mill"))
    reply = stranger.publish("mill", model(0), relay.request("mill", []))
    with pytest.raises(UnknownSigner):
        relay.receive("mill", reply)
    assert relay.streams == []


def test_a_node_decodes_nothing_of_a_message_that_is_not_signed(ends):
    relay, node = ends
    mill, dock, port = node("mill"), node("dock"), node("port")
    publish(relay, mill, "mill", 0)
    publish(relay, dock, "dock", 1)
    request = relay.request("port", ["mill", "dock"])
    by_dock = statements(request)["statements"][1]
    without = type(request)({name: record for name, record in request.items() if name != NAME})
    unsigned = type(request)({**request, NAME: statements(request, mill=None)})
    replayed = type(request)({**request, NAME: statements(request, mill=by_dock)})
    for content in (without, unsigned, replayed):
        with pytest.raises((UnknownSigner, Replayed)):
            port.receive(content)
        assert held(port) == 0
    assert sum(attacks(port).values()) == 3
    assert set(port.receive(request)) == {"mill", "dock"}


def test_a_server_that_sends_an_old_version_again_is_refused(ends):
    relay, node = ends
    mill, port = node("mill"), node("port")
    publish(relay, mill, "mill", 0)
    old = relay.request("port", ["mill"])
    publish(relay, mill, "mill", 1)
    new = relay.request("port", ["mill"])
    stale = type(old)({**old, NAME: ConfigRecord({**statements(old), "newest": new.config_records[NAME]["newest"]})})
    with pytest.raises(Frozen):
        port.receive(stale)
    port.receive(new)
    with pytest.raises(RolledBack):  # the list of newest versions is older, and so is the version
        port.receive(old)
    assert attacks(port) == {"Frozen": 1, "RolledBack": 1}


def test_two_versions_of_one_number_are_refused(ends, tmp_path):
    relay, node = ends
    mill, thief = node("mill"), node("mill", machine="-of-thief")
    request = relay.request("mill", [])
    replies = [end.publish("mill", model(number), request) for number, end in enumerate((mill, thief))]
    relay.receive("mill", replies[0])
    with pytest.raises(MixAndMatch):
        relay.receive("mill", replies[1])


def test_a_domain_on_another_machine_goes_on_from_the_number_of_its_newest_version(ends):
    relay, node = ends
    publish(relay, node("mill"), "mill", 0)
    publish(relay, node("mill"), "mill", 1)
    moved = node("mill", machine="-elsewhere")
    repeated = relay.repeat("mill", relay.request("mill", []))
    assert (moved.own(repeated)["w"] == node("mill").own(relay.request("mill", []))["w"]).all()
    relay.receive("mill", moved.publish("mill", model(2), repeated))
    assert relay.version("mill") == 3
    assert moved.identity.verifier.memory.next_counter("mill") == 4


def test_a_node_trains_on_from_nothing_that_it_did_not_publish(ends):
    relay, node = ends
    mill, port = node("mill"), node("port")
    publish(relay, mill, "mill", 0)
    publish(relay, port, "port", 1)
    request = relay.request("mill", [])
    with pytest.raises(UnknownSigner):
        mill.own(type(request)({**request, NAME: statements(request, mill=None)}))
    older = statements(request)["statements"][0]
    publish(relay, mill, "mill", 2)
    request = relay.request("mill", [])
    with pytest.raises(Forged):
        mill.own(type(request)({**request, NAME: statements(request, mill=older)}))


def test_a_policy_that_demands_seals_keeps_models_at_home(ends):
    relay, node = ends
    mill = node("mill")
    verifier = mill.identity.verifier
    verifier.policy = replace(verifier.policy, require_sealed=True)
    with pytest.raises(Unsealed):
        mill.publish("mill", model(0), relay.request("mill", []))


@pytest.mark.parametrize("record", [{"streams": ["mill"], "statements": []}, {"streams": ["mill"], "statements": ["text"]}])
def test_a_record_of_statements_that_cannot_be_read_is_corrupt(ends, record):
    relay, node = ends
    reply = node("mill").publish("mill", model(0), relay.request("mill", []))
    reply[NAME] = ConfigRecord(record)
    with pytest.raises(Corrupt, match="send the message again"):
        relay.receive("mill", reply)
