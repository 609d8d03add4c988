"""Check that targets can reconstruct their sources' layers, by the shapes that the nodes described."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence

from flwr.app import ConfigRecord, Message
from torch import nn

from fedretina.errors import BadArgument
from fedretina.reuse import ReuseObjective
from fedretina.strategies.peer_reuse.config import Topology
from fedretina.train import shared_body

Shapes = Mapping[str, Sequence[int]]
_SHAPES = "shapes."


def shapes_record(shapes: Shapes) -> ConfigRecord:
    """Write the shapes of a model's layers for a reply."""
    return ConfigRecord({_SHAPES + layer: json.dumps(list(shape)) for layer, shape in shapes.items()})


def body_record(model: nn.Module, head: str, *, share: bool) -> ConfigRecord:
    """Write the names of the tensors of a model's body, and what is equal for bodies that fit each other."""
    shapes = {name: list(value.shape) for name, value in shared_body(model, head).items()}
    kind = hashlib.blake2b(json.dumps(shapes, sort_keys=True).encode(), digest_size=4).hexdigest()
    return ConfigRecord({"kind": kind, "tensors": json.dumps(list(shapes)), "share": share})


def check_layers(topology: Topology, replies: Iterable[Message]) -> None:
    """Refuse layers of a target and a source between which there is no V.

    Raises
    ------
    BadArgument
        Naming the target, the source, the layer and the shapes.
    """
    records = {name: record for reply in replies for name, record in reply.content.config_records.items()}
    found = {
        domain: {key.removeprefix(_SHAPES): json.loads(str(value)) for key, value in records[f"{domain}/shapes"].items()}
        for domain in topology.domains
    }
    for target in topology.targets:
        try:
            ReuseObjective(found[target], {source: found[source] for source in topology.sources_of(target)})
        except BadArgument as error:
            raise BadArgument(f"{target}: layers = {','.join(found[target])!r}: {error}") from None
