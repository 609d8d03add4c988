"""Which layer of each source is paired with which of the target's layers."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from fedretina.errors import BadArgument
from fedretina.features import layer_shapes
from fedretina.reuse.layers import Layers, automatic_layers, choose_layers, is_vector, tensor_orders

Shapes = Mapping[str, tuple[int, ...]]
_REMEDY = "name as many layers as the target's in source_layers, in the same order, or leave that source out"
_log = logging.getLogger("fedretina.reuse")


@dataclass(frozen=True)
class Pairing:
    """The target's layers and their partners in the sources.

    Parameters
    ----------
    layers : tuple of str
        The target's layers.
    names : mapping of str to mapping of str to str
        The partner's name, by source and by the target's layer.
    target : mapping of str to shape
        Shapes of the target's outputs, without the batch.
    sources : mapping of str to mapping of str to shape
        Shapes of the partners' outputs, by source and by the target's layer.
    vectors : frozenset of str
        Those of the target's layers that are vectors in every model; in some models as (C, 1, 1).
    """

    layers: tuple[str, ...]
    names: Mapping[str, Mapping[str, str]]
    target: Shapes
    sources: Mapping[str, Shapes]
    vectors: frozenset[str]

    def flatten_vectors(self, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Reshape (N, C, 1, 1) to (N, C) in the layers that are vectors."""
        return {layer: z.flatten(1) if layer in self.vectors else z for layer, z in outputs.items()}

    def to_target_names(self, source: str, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Give a source's outputs under the names of the target's layers."""
        return self.flatten_vectors({layer: outputs[partner] for layer, partner in self.names[source].items()})


def pair_layers(
    target: nn.Module,
    sources: Mapping[str, nn.Module],
    inputs: Tensor,
    *,
    layers: Layers = "auto",
    source_layers: Mapping[str, Layers] | None = None,
) -> Pairing:
    """Choose the target's layers, and a partner for each of them in every source.

    Parameters
    ----------
    target, sources, inputs, layers, source_layers
        As for `MultiModelReuse`.

    Raises
    ------
    BadArgument
        A layer does not exist or has no partner, or `source_layers` names an unknown source or another number of layers.

    Examples
    --------
    >>> import torch
    >>> target, peer = (nn.Sequential(nn.Linear(4, width), nn.Tanh(), nn.Linear(width, 2)) for width in (3, 5))
    >>> pairing = pair_layers(target, {"peer": peer}, torch.zeros(2, 4), layers=["1"], source_layers={"peer": ["0"]})
    >>> pairing.names["peer"], pairing.sources["peer"]
    ({'1': '0'}, {'1': (5,)})
    """
    requested = dict(source_layers or {})
    if unknown := set(requested) - set(sources):
        raise BadArgument(f"source_layers names {sorted(unknown)}, the sources are {sorted(sources)}")
    chosen = choose_layers(target, layers, inputs)
    shapes = {name: tuple(shape) for name, shape in layer_shapes(target, chosen, inputs).items()}
    names = {name: _partners(name, model, shapes, requested.get(name), inputs) for name, model in sources.items()}
    paired = _layers_with_partners(shapes, names, may_drop=layers == "auto")
    names = {source: {layer: partners[layer] for layer in paired} for source, partners in names.items()}
    source_shapes = {source: _partner_shapes(model, names[source], inputs) for source, model in sources.items()}
    orders = tensor_orders(shapes)
    vectors = {n for n in paired if orders[n] == 1 and all(is_vector(found[n]) for found in source_shapes.values())}
    flat = {source: _flat(found, vectors) for source, found in source_shapes.items()}
    return Pairing(tuple(paired), names, _flat({n: shapes[n] for n in paired}, vectors), flat, frozenset(vectors))


def _partners(
    source: str, model: nn.Module, target_shapes: Shapes, requested: Layers | None, inputs: Tensor
) -> dict[str, str]:
    """Name a source's partner of each of the target's layers; "auto" may leave some without a partner."""
    if requested is None and {name for name, _ in model.named_modules()}.issuperset(target_shapes):
        return {layer: layer for layer in target_shapes}
    if requested is None or requested == "auto":
        partners = automatic_layers(model, inputs)
        last = {order: layer for layer, order in tensor_orders(target_shapes).items()}
        return {layer: partners[order] for order, layer in last.items() if order in partners}
    if isinstance(requested, str):
        raise BadArgument(
            f"source_layers[{source!r}] = {requested!r}: write 'auto', or a list of names or patterns, [{requested!r}]"
        )
    chosen = choose_layers(model, requested, inputs)
    if len(chosen) != len(target_shapes):
        raise BadArgument(
            f"source {source!r}: {len(chosen)} layers {chosen} for the target's {len(target_shapes)} {list(target_shapes)}: "
            f"name as many in source_layers={{{source!r}: [...]}}, in the same order"
        )
    return dict(zip(target_shapes, chosen, strict=True))


def _layers_with_partners(shapes: Shapes, names: Mapping[str, Mapping[str, str]], *, may_drop: bool) -> list[str]:
    """Keep the layers that have a partner in every source; for the others warn if `may_drop`, else raise."""
    missing = {layer: [source for source, partners in names.items() if layer not in partners] for layer in shapes}
    paired = [layer for layer, sources in missing.items() if not sources]
    for layer, sources in missing.items():
        if sources and may_drop and paired:
            _log.warning("layer %r is not reused: no layer of its kind is found in %s; %s", layer, sources, _REMEDY)
        elif sources:
            raise BadArgument(
                f"no partner of the target's layer {layer!r}, {shapes[layer]}, is found in {sources}: {_REMEDY}"
            )
    return paired


def _partner_shapes(model: nn.Module, partners: Mapping[str, str], inputs: Tensor) -> Shapes:
    shapes = layer_shapes(model, list(partners.values()), inputs)
    return {layer: tuple(shapes[partner]) for layer, partner in partners.items()}


def _flat(shapes: Shapes, vectors: set[str]) -> Shapes:
    return {name: shape[:1] if name in vectors else shape for name, shape in shapes.items()}
