"""What local grids have in common; their own tests are in test_process_grid.py and tests/testing."""

import pytest
from flwr.app import RecordDict

from fedretina.flower import LocalNodes, received


class SilentNodes(LocalNodes):
    """Nodes that never answer."""

    def push_messages(self, messages):
        return [self.name(message)[0] for message in messages]

    def pull_messages(self, message_ids):
        return []


def test_nodes_have_contexts_and_messages_get_names_in_order():
    nodes = SilentNodes(2, run_config={"lr": 0.1})
    assert nodes.get_node_ids() == [100, 101]
    assert [context.node_config["partition-id"] for context in nodes.contexts.values()] == [0, 1]
    assert nodes.contexts[101].run_config == {"lr": 0.1}
    messages = [nodes.create_message(RecordDict(), "train", 100, "1") for _ in range(2)]
    assert [nodes.name(message) for message in messages] == [("m0", 0), ("m1", 1)]


def test_a_received_message_has_the_names_of_the_sent_one_and_another_content():
    nodes = SilentNodes(1)
    message = nodes.create_message(RecordDict(), "train", 100, "4")
    nodes.name(message)
    copy = received(message, RecordDict())
    assert copy.metadata.message_id == message.metadata.message_id
    assert (copy.metadata.group_id, copy.metadata.dst_node_id, copy.metadata.message_type) == ("4", 100, "train")
    assert copy.content is not message.content


def test_there_is_one_run():
    with pytest.raises(NotImplementedError):
        SilentNodes(1).set_run(None)
