"""The ledger's rows of relayed payloads: kinds, bases, versions and bytes as they are in the messages."""

import numpy as np
import pytest
from flwr.app import RecordDict

from fedretina.dom import DomConfig, ReferenceStore
from fedretina.flower import PayloadRelay, RelayedModels, message_size, relay_rows


@pytest.fixture
def sent(tmp_path):
    """Two versions of "mill", and three requests of "port": for the first, for the second, for the second again."""
    server, node = PayloadRelay(), RelayedModels(ReferenceStore(tmp_path), DomConfig())
    model, up, down = {"w": np.random.default_rng(0).normal(size=9999).astype(np.float32)}, [], []
    for _ in range(2):
        up.append(node.publish("mill", model, server.request("mill", [])))
        server.receive("mill", up[-1])
        down.append(server.request("port", ["mill"]))
        server.acknowledge("port", down[-1])
        model = {"w": model["w"] + np.float32(0.01)}
    return up, [*down, server.request("port", ["mill"])]


def rows_of(contents, direction):
    known = {"round_number": 3, "node": 7, "domain": "port", "versions": {"mill": 2}, "raw_bytes": {"mill": 39_996}}
    return [relay_rows(content, direction, **known) for content in contents]


def test_kinds_bases_and_digests(sent):
    up, down = sent
    ((first,), (second,)) = rows_of(up, "up")
    assert (first.kind, second.kind, second.base) == ("keyframe", "delta", first.digest)
    ((one,), (two,), (none,)) = rows_of(down, "down")
    assert (one.kind, two.kind, none.kind) == ("keyframe", "delta", "none")
    assert (one.digest, two.digest, none.digest) == (first.digest, second.digest, second.digest)
    assert {row.version for row in (one, two, none)} == {2}


def test_wire_bytes_are_those_of_the_message_and_raw_bytes_have_the_same_head(sent):
    for direction, contents in zip(("up", "down"), sent, strict=True):
        for (row,), content in zip(rows_of(contents, direction), contents, strict=True):
            assert row.wire_bytes == message_size(content, direction)
            assert 39_996 < row.raw_bytes < 39_996 + 2_000


def test_a_message_without_a_model_is_control():
    (row,) = relay_rows(
        RecordDict(), "up", round_number=1, node=7, domain="mill", versions={}, raw_bytes={}, error="no base"
    )
    assert (row.kind, row.stream, row.error) == ("control", "", "no base")
