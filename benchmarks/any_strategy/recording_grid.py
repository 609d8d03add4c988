"""A grid that records the decoded replies, and computes the average that the server must reach."""

from typing import Any

import numpy as np
from flwr.app import Message, RecordDict

from fedretina.dom import ReferenceStore, accept
from fedretina.errors import FedRetinaError
from fedretina.flower import header, records
from fedretina.testing import FaultyGrid

Model = dict[str, np.ndarray[Any, Any]]


class RecordingGrid(FaultyGrid):
    """Records the models of intact replies in time, by round and node, with their numbers of examples."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.models: dict[int, dict[int, tuple[Model, int]]] = {}

    def answer(self, message: Message, number: int) -> Message:
        reply = super().answer(message, number)
        in_time = message.metadata.message_id not in self.late
        if message.metadata.message_type == "train" and reply.has_content() and in_time:
            node = message.metadata.dst_node_id
            round_ = int(message.content.config_records["config"]["server-round"])
            model = self._decoded(reply.content, node)
            if model is not None:
                examples = int(reply.content.metric_records["metrics"]["num-examples"])
                self.models.setdefault(round_, {})[node] = model, examples
        return reply

    def _decoded(self, content: RecordDict, node: int) -> Model | None:
        """Decode a reply with the node's own store; None if it has no model, or is damaged."""
        if header.NAME not in content.config_records:
            return None
        up = header.UpHeader.from_record(content.config_records[header.NAME])
        if not up.models:
            return None
        ((name, model),) = up.models.items()
        base = ReferenceStore(self.stores(node)).get(model.base) if model.base else None
        (payload,) = records.unpack(content.array_records[name])
        try:
            return dict(accept(payload, base=base).model)
        except FedRetinaError:
            return None

    def mean(self, number: int) -> Model:
        """Compute the weighted mean of a round's models as Flower does, in the order of the nodes."""
        recorded = [self.models.get(number, {})[node] for node in sorted(self.models.get(number, {}))]
        total = sum(examples for _, examples in recorded)
        mean: Model = {}
        for model, examples in recorded:
            for key, value in model.items():
                part = value * (examples / total)
                mean[key] = mean[key] + part if key in mean else part
        return mean
