"""Which layer of each source stands for which of the target's."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from fedretina.errors import BadArgument
from fedretina.features.taps import shapes
from fedretina.reuse.layers import Layers, automatic, choose_layers, is_vector, orders

Shapes = Mapping[str, tuple[int, ...]]
_log = logging.getLogger("fedretina.reuse")


@dataclass(frozen=True)
class Pairing:
    """The target's layers and their partners.

    Parameters
    ----------
    layers : tuple of str
        The target's.
    names : mapping of str to mapping of str to str
        Per source, by the target's layer, its own.
    target : mapping of str to shape
        What the target's layers put out, without the batch.
    sources : mapping of str to mapping of str to shape
        What the partners put out, by the target's layers.
    vectors : frozenset of str
        Of the target's layers those that are vectors in every model, in some of them as (C, 1, 1).
    """

    layers: tuple[str, ...]
    names: Mapping[str, Mapping[str, str]]
    target: Shapes
    sources: Mapping[str, Shapes]
    vectors: frozenset[str]

    def flat(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Make (N, C) of what is (N, C, 1, 1), in the layers that are vectors."""
        return {layer: z.flatten(1) if layer in self.vectors else z for layer, z in values.items()}

    def renamed(self, source: str, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Put a source's outputs under the target's names."""
        return self.flat({own: values[theirs] for own, theirs in self.names[source].items()})


def pair(
    target: nn.Module,
    sources: Mapping[str, nn.Module],
    inputs: Tensor,
    *,
    layers: Layers = "auto",
    source_layers: Mapping[str, Layers] | None = None,
) -> Pairing:
    """Choose the target's layers and a partner for each in every source; parameters as for `MultiModelReuse`.

    Examples
    --------
    >>> import torch
    >>> target, peer = (nn.Sequential(nn.Linear(4, width), nn.Tanh(), nn.Linear(width, 2)) for width in (3, 5))
    >>> found = pair(target, {"peer": peer}, torch.zeros(2, 4), layers=["1"], source_layers={"peer": ["0"]})
    >>> found.names["peer"], found.sources["peer"]
    ({'1': '0'}, {'1': (5,)})
    """
    given = dict(source_layers or {})
    if unknown := set(given) - set(sources):
        raise BadArgument(f"source_layers names {sorted(unknown)}, the sources are {sorted(sources)}")
    own = {name: tuple(shape) for name, shape in shapes(target, choose_layers(target, layers, inputs), inputs).items()}
    names = {n: _partners(n, m, own, given.get(n), inputs) for n, m in sources.items()}
    kept = _with_partners(own, names, may_drop=layers == "auto")
    names = {source: {layer: partners[layer] for layer in kept} for source, partners in names.items()}
    seen = {source: _shapes(model, names[source], inputs) for source, model in sources.items()}
    order = orders(own)
    vectors = {n for n in kept if order[n] == 1 and all(is_vector(s[n]) for s in seen.values())}
    flat = {source: _flat(found, vectors) for source, found in seen.items()}
    return Pairing(tuple(kept), names, _flat({n: own[n] for n in kept}, vectors), flat, frozenset(vectors))


def _partners(name: str, model: nn.Module, own: Shapes, given: Layers | None, inputs: Tensor) -> dict[str, str]:
    """Name a source's partner of each of the target's layers; "auto" may leave some without."""
    if given is None and {module for module, _ in model.named_modules()}.issuperset(own):
        return {layer: layer for layer in own}
    if given is None or given == "auto":
        found = automatic(model, inputs)
        last = {order: layer for layer, order in orders(own).items()}
        return {layer: found[order] for order, layer in last.items() if order in found}
    if isinstance(given, str):
        raise BadArgument(f"source_layers[{name!r}] = {given!r}: write 'auto', or a list of names or patterns, [{given!r}]")
    chosen = choose_layers(model, given, inputs)
    if len(chosen) != len(own):
        raise BadArgument(
            f"source {name!r}: {len(chosen)} layers {chosen} for the target's {len(own)} {list(own)}: "
            f"name as many in source_layers={{{name!r}: [...]}}, in the same order"
        )
    return dict(zip(own, chosen, strict=True))


def _with_partners(own: Shapes, names: Mapping[str, Mapping[str, str]], *, may_drop: bool) -> list[str]:
    """Keep the layers that every source has a partner of; warn of the others, or refuse them where they were asked for."""
    lacking = {layer: [source for source, partners in names.items() if layer not in partners] for layer in own}
    kept = [layer for layer, without in lacking.items() if not without]
    for layer, without in lacking.items():
        if without and may_drop and kept:
            _log.warning("layer %r is not reused: no layer of its kind is found in %s; %s", layer, without, _REMEDY)
        elif without:
            raise BadArgument(f"no partner of the target's layer {layer!r}, {own[layer]}, is found in {without}: {_REMEDY}")
    return kept


_REMEDY = "name as many layers as the target's in source_layers, in the same order, or leave that source out"


def _shapes(model: nn.Module, partners: Mapping[str, str], inputs: Tensor) -> Shapes:
    found: dict[str, Any] = shapes(model, list(partners.values()), inputs)
    return {own: tuple(found[theirs]) for own, theirs in partners.items()}


def _flat(found: Shapes, vectors: set[str]) -> Shapes:
    return {name: shape[:1] if name in vectors else shape for name, shape in found.items()}
