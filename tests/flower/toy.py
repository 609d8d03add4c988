"""The toy federation of `fedretina.testing`, and messages to its nodes as a loop of one's own would send them."""

from pathlib import Path

from flwr.app import ArrayRecord, ConfigRecord, Message, RecordDict

from fedretina.flower import DomMod
from fedretina.testing import to_model as model_of
from fedretina.testing import to_record as record_of
from fedretina.testing import toy_app as app
from fedretina.testing import toy_model as start

__all__ = ["app", "ask", "model_of", "per_node", "record_of", "start"]


def per_node(folder: Path):
    """Return a mod with a store for each node, as if each were a machine of its own."""
    return lambda message, context, call_next: DomMod(folder / str(context.node_id))(message, context, call_next)


def ask(model, node=100, number=1, kind="train", **config):
    """Return a message to a node."""
    config = ConfigRecord({"server-round": number, **config})
    content = RecordDict({"arrays": model if isinstance(model, ArrayRecord) else record_of(model), "config": config})
    return Message(content, dst_node_id=node, message_type=kind)
