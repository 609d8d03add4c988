"""The toy federation: equal inputs give equal bits, and every node pulls the model its own way."""

import numpy as np
from flwr.app import RecordDict

from fedretina.testing import LocalGrid, to_model, to_record, toy_app, toy_model


def trained(model):
    grid = LocalGrid(toy_app(), 2)
    messages = [
        grid.create_message(RecordDict({"arrays": to_record(model)}), "train", node, "1") for node in grid.get_node_ids()
    ]
    return [to_model(reply.content["arrays"]) for reply in grid.send_and_receive(messages)]


def test_equal_inputs_give_equal_bits():
    first, second = trained(toy_model()), trained(toy_model())
    for one, other in zip(first, second, strict=True):
        assert all(np.array_equal(one[name], other[name]) for name in one)


def test_nodes_differ_and_counters_count():
    one, other = trained(toy_model(counters=True))
    assert not np.array_equal(one["w"], other["w"])
    assert one["w"].dtype == np.float32
    assert one["bn.num_batches_tracked"] == other["bn.num_batches_tracked"] == 7
