"""Weights are what a SuperLink counts; a model's weight is that of its record, without serialising it."""

import flwr.supercore.task_identity as identity
import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, Message
from flwr.app.message.message import remove_content_from_message
from flwr.common.serde import message_to_proto
from flwr.proto import fleet_pb2
from flwr.proto.node_pb2 import Node
from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects, get_object_tree
from hypothesis import given
from hypothesis import strategies as st

import toy
from fedretina.flower import DomGrid, DomMod
from fedretina.flower.sizes import ENVELOPE_BYTES, message_size, model_size, undecoded_size, wire_size
from fedretina.testing import LocalGrid

DTYPES = st.sampled_from([np.float32, np.float64, np.float16, np.int64, np.uint8])
SHAPES = st.sampled_from([(), (7,), (3, 5), (40, 40), (0, 4)])


@given(st.lists(st.tuples(DTYPES, SHAPES, st.integers(0, 2)), max_size=6))
def test_it_is_exact_equal_arrays_included(rows):
    model = {
        f"t{i}": np.random.default_rng(seed).integers(0, 200, size=shape).astype(dtype)
        for i, (dtype, shape, seed) in enumerate(rows)
    }
    assert model_size(model) == wire_size(ArrayRecord({name: Array(array) for name, array in model.items()}), "up")


def test_arrays_of_several_chunks():
    model = {"w": np.random.default_rng(0).normal(size=(3000, 1000)).astype(np.float32)}
    assert model_size(model) == wire_size(ArrayRecord({"w": Array(model["w"])}), "up")


def test_a_reply_weighs_what_it_would_have_weighed(tmp_path):
    model = toy.start()
    (plain,) = LocalGrid(toy.app(), 1).send_and_receive([toy.ask(model)])
    grid = DomGrid(LocalGrid(toy.app(DomMod(tmp_path)), 1), store=tmp_path)
    grid.send_and_receive([toy.ask(model)])
    down, up = grid.ledger.rows
    assert up.raw_bytes == message_size(plain.content, "up")
    assert down.raw_bytes == message_size(toy.ask(model).content, "down")


def counted(way, message):
    """Count as Flower's fleet handlers do: both calls, and every object of the message."""
    bare, tree, objects = (
        message_to_proto(remove_content_from_message(message)),
        get_object_tree(message),
        get_all_nested_objects(message),
    )
    node = Node(node_id=LONG)
    if way == "down":
        calls = [
            fleet_pb2.PullMessagesRequest(node=node),
            fleet_pb2.PullMessagesResponse(messages_list=[bare], message_object_trees=[tree]),
        ]
    else:
        calls = [
            fleet_pb2.PushMessagesRequest(
                node=node, messages_list=[bare], message_object_trees=[tree], clientapp_runtime_list=[1.5]
            ),
            fleet_pb2.PushMessagesResponse(
                reconnect=fleet_pb2.Reconnect(reconnect=5),
                results={message.metadata.message_id: 0},
                objects_to_push=list(objects),
                session_id="0" * 36,
            ),
        ]
    return sum(call.ByteSize() for call in calls) + sum(len(part.deflate()) for part in objects.values())


LONG = 2**63 + 1  # Flower's numbers of nodes, runs and tasks are random, most of this length


@pytest.mark.parametrize("tensors", [1, 8, 320])
@pytest.mark.parametrize("kind", ["train", "evaluate"])
def test_a_message_weighs_what_a_superlink_counts(kind, tensors):
    LocalGrid(toy.app(), 1)  # lets messages be made
    identity.TaskIdentity.run_id = identity.TaskIdentity.task_id = LONG
    model = {f"t{i}": np.arange(i, i + 9.0) for i in range(tensors)}
    down = toy.ask(model, LONG, kind=kind)
    down.metadata.__dict__ |= {"_message_id": "a" * 64, "_group_id": "12"}
    up = Message(down.content, reply_to=down)
    up.metadata.__dict__["_message_id"] = "b" * 64
    for way, message in (("down", down), ("up", up)):
        assert message_size(message.content, way) == pytest.approx(counted(way, message), rel=0.005)
        assert abs(message_size(message.content, way) - counted(way, message)) < ENVELOPE_BYTES[way] / 10 + 2 * tensors


@pytest.mark.parametrize("direction", ["down", "up"])
def test_without_values_the_size_is_that_of_a_trained_model(direction):
    rng = np.random.default_rng(0)
    model = {f"layer{i}.weight": rng.normal(size=(9, 5)).astype(np.float32) for i in range(3)}
    model |= {f"layer{i}.num_batches_tracked": np.array(40) for i in range(3)} | {"mask": rng.integers(0, 9, size=4)}
    assert undecoded_size(model, direction) == wire_size(toy.record_of(model), direction)
