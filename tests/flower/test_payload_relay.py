"""Relay of payloads without decoding."""

import json

import numpy as np
import pytest
from flwr.app import ConfigRecord, RecordDict

from fedretina.dom import DomConfig, ReferenceStore
from fedretina.errors import BadArgument, Corrupt, UnknownBase
from fedretina.flower import PayloadRelay, RelayedModels
from fedretina.flower.payload_relay import KEYFRAME_EVERY, newest_digests


def model(number):
    return {"w": np.random.default_rng(number).normal(size=(64, 64)).astype(np.float32)}


@pytest.fixture
def ends(tmp_path):
    return PayloadRelay(), *(RelayedModels(ReferenceStore(tmp_path / name), DomConfig()) for name in ("mill", "port"))


def publish(relay, node, number):
    request = relay.request("mill", [])
    relay.receive("mill", node.publish("mill", model(number), request))


def test_a_receiver_gets_the_makers_bits_however_many_versions_it_missed(ends):
    relay, mill, port = ends
    for number in range(3 * KEYFRAME_EVERY):
        publish(relay, mill, number)
        if number % 3:  # misses every third version
            request = relay.request("port", ["mill"])
            got = port.receive(request)["mill"]
            relay.acknowledge("port", request)
            assert (got["w"] == mill.own(relay.request("mill", []))["w"]).all()
    assert relay.version("mill") == 3 * KEYFRAME_EVERY
    assert relay.payload_bytes < KEYFRAME_EVERY * 20_000


def test_what_is_held_costs_less(ends):
    relay, mill, port = ends
    publish(relay, mill, 0)
    whole = relay.cost("port", "mill")
    request = relay.request("port", ["mill"])
    port.receive(request)
    relay.acknowledge("port", request)
    assert relay.cost("port", "mill") == 0
    publish(relay, mill, 1)
    assert 0 < relay.cost("port", "mill") < relay.cost("dock", "mill")
    assert whole <= relay.cost("dock", "mill")


def test_a_lost_base_is_an_error_with_a_remedy(ends, tmp_path):
    relay, mill, port = ends
    publish(relay, mill, 0)
    relay.acknowledge("port", relay.request("port", ["mill"]))  # claimed, never decoded
    publish(relay, mill, 1)
    request = relay.request("port", ["mill"])
    with pytest.raises(UnknownBase, match="send a keyframe"):
        port.receive(request)
    assert port.receive(relay.repeat("port", request))["mill"]["w"].shape == (64, 64)


def test_a_repeated_request_leads_to_the_versions_of_the_first_though_newer_ones_came(ends):
    relay, mill, port = ends
    publish(relay, mill, 0)
    relay.acknowledge("port", relay.request("port", ["mill"]))  # claimed, never decoded
    publish(relay, mill, 1)
    request = relay.request("port", ["mill"])
    wanted = mill.receive(request)["mill"]["w"]
    publish(relay, mill, 2)
    repeated = relay.repeat("port", request)
    assert newest_digests(repeated) == newest_digests(request)
    assert (port.receive(repeated)["mill"]["w"] == wanted).all()


def test_a_repeated_request_leads_to_the_same_versions_though_the_log_lost_them(ends):
    relay, mill, port = ends
    publish(relay, mill, 0)
    request = relay.request("port", ["mill"])
    wanted = mill.receive(request)["mill"]["w"]
    for seed in range(1, 2 * KEYFRAME_EVERY + 1):
        publish(relay, mill, seed)
    repeated = relay.repeat("port", request)
    assert newest_digests(repeated) == newest_digests(request)
    assert (port.receive(repeated)["mill"]["w"] == wanted).all()


def test_a_delta_in_the_place_of_a_keyframe_is_refused(ends):
    relay, mill, _ = ends
    for seed in range(KEYFRAME_EVERY):
        publish(relay, mill, seed)
    request = relay.request("mill", [])
    entries = json.loads(str(request["fedretina.relay"]["json"])) | {"keyframe": False}
    request["fedretina.relay"] = ConfigRecord({"json": json.dumps(entries)})
    with pytest.raises(Corrupt, match="a keyframe was asked for"):
        relay.receive("mill", mill.publish("mill", model(9), request))
    assert relay.version("mill") == KEYFRAME_EVERY
    publish(relay, mill, 10)


def test_a_version_that_cannot_be_decoded_is_left_out_and_not_taken_for_held(ends, tmp_path):
    relay, mill, port = ends
    publish(relay, mill, 0)
    relay.receive("port", port.publish("port", model(1), relay.request("port", [])))
    request = relay.request("third", ["mill", "port"])
    entries = json.loads(str(request["fedretina.relay"]["json"]))
    entries["newest"]["mill"] = 64 * "0"
    request["fedretina.relay"] = ConfigRecord({"json": json.dumps(entries)})
    third = RelayedModels(ReferenceStore(tmp_path / "third"), port.config)
    models, broken = third.receive_sound(request)
    assert models.keys() == {"port"}
    assert broken.keys() == {"mill"}
    with pytest.raises(Corrupt, match="stream 'mill'"):
        third.receive(request)
    relay.acknowledge("third", request, without=broken)
    assert relay.cost("third", "mill") > 0
    assert relay.cost("third", "port") == 0


def test_the_own_version_that_another_process_removed_is_no_silent_keyframe(ends):
    relay, mill, _ = ends
    publish(relay, mill, 0)
    request = relay.request("mill", [])
    assert mill.own(request) is not None
    for file in mill.store.folder.glob("*.ref"):
        file.unlink()
    mill = RelayedModels(ReferenceStore(mill.store.folder), mill.config)
    with pytest.raises(UnknownBase):
        mill.publish("mill", model(1), request)


def test_a_receiver_that_lost_its_own_model_gets_it_back(ends):
    relay, mill, port = ends
    publish(relay, mill, 0)
    publish(relay, mill, 1)
    elsewhere = port  # another node, which never had it
    with pytest.raises(UnknownBase, match="the receiver's own"):
        elsewhere.own(relay.request("mill", []))
    request = relay.repeat("mill", relay.request("mill", []))
    assert (elsewhere.own(request)["w"] == mill.own(request)["w"]).all()
    assert elsewhere.receive(request) == {}
    relay.acknowledge("mill", request)
    assert "mill" not in relay.request("mill", []).array_records
    publish(relay, elsewhere, 2)
    assert relay.version("mill") == 3


def test_what_is_not_one_payload_is_refused(ends):
    relay, _, _ = ends
    with pytest.raises(Corrupt, match="0 payloads"):
        relay.receive("mill", RecordDict({"x": ConfigRecord({"a": 1})}))
    with pytest.raises(BadArgument, match="no version"):
        relay.request("port", ["mill"])
    with pytest.raises(BadArgument, match="no version"):
        relay.newest("mill")
