"""The matrices V of all sources and layers, and the errors of what they reconstruct."""

from collections.abc import Collection, Mapping, Sequence
from typing import cast
from urllib.parse import quote

import torch
from torch import Tensor, nn

from fedretina.errors import BadArgument
from fedretina.reuse.checks import check_names, check_shape
from fedretina.reuse.nonlinear import NonlinearReconstruction
from fedretina.reuse.transform import Reconstruction

Shape = Sequence[int]
Features = Mapping[str, Tensor]


class Reconstructions(nn.ModuleDict):
    """One `Reconstruction` per source and layer.

    Parameters
    ----------
    target_shapes : mapping of str to shape
        Shapes (d_1, ..., d_Q) of the target's layers, without the batch.
    source_shapes : mapping of str to mapping of str to shape
        Shapes of the features to reconstruct, by source and by the *target's* layer.
    hidden : int, default 0
        Hidden units of a `NonlinearReconstruction`; 0 makes V linear.

    Raises
    ------
    BadArgument
        A source does not have exactly the target's layers, or the orders of two shapes differ.

    Examples
    --------
    >>> v = Reconstructions({"embedding": (8,)}, {"cuhk03": {"embedding": (16,)}})
    >>> v.pairs, v.reconstruction("cuhk03", "embedding").source_shape
    ([('cuhk03', 'embedding')], (16,))
    """

    def __init__(
        self, target_shapes: Mapping[str, Shape], source_shapes: Mapping[str, Mapping[str, Shape]], *, hidden: int = 0
    ) -> None:
        super().__init__()
        # Sorted, so that a saved state means the same whatever the order of the caller's mappings.
        self.sources, self.layers = tuple(sorted(source_shapes)), tuple(sorted(target_shapes))
        for source in self.sources:
            check_names(f"layers of source {source!r}", source_shapes[source], self.layers)
            for layer in self.layers:
                shapes = target_shapes[layer], source_shapes[source][layer]
                self[_key(source, layer)] = _reconstruction(source, layer, *shapes, hidden=hidden)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """All pairs of a source and a layer, in the order of `table`."""
        return [(source, layer) for source in self.sources for layer in self.layers]

    def reconstruction(self, source: str, layer: str) -> Reconstruction:
        """Give V of one source and layer; `BadArgument` names those that exist."""
        if source not in self.sources or layer not in self.layers:
            raise BadArgument(
                f"there is no V for layer {layer!r} of source {source!r}: the sources are "
                f"{list(self.sources)}, the layers {list(self.layers)}"
            )
        return cast(Reconstruction, self[_key(source, layer)])

    def table(self, values: Sequence[Tensor]) -> Tensor:
        """Arrange one scalar per pair as (M, H')."""
        return torch.stack(tuple(values)).view(len(self.sources), len(self.layers))

    def fit(
        self, target_z: Features, source_z: Mapping[str, Features], *, sources: Collection[str] | None, strength: float
    ) -> None:
        """Set V by least squares on the features of one large batch; if `sources` is given, only theirs."""
        for source, layer in self.pairs:
            if sources is None or source in sources:
                self.reconstruction(source, layer).fit(target_z[layer], source_z[source][layer], strength=strength)

    def mean_squared_errors(self, target_z: Features, source_z: Mapping[str, Features]) -> Tensor:
        """Average the summand of R in Eq. 2 over samples and features, (M, H'); the sources get no gradient."""
        errors = []
        for source, layer in self.pairs:
            reconstructed = self.reconstruction(source, layer)(target_z[layer])
            errors.append((source_z[source][layer].detach().to(reconstructed.dtype) - reconstructed).square().mean())
        return self.table(errors)

    def check(self, target_z: Features, source_z: Mapping[str, Features]) -> None:
        """Refuse features of other layers, sources, shapes or numbers of samples than V was made for."""
        check_names("the target's layers", target_z, self.layers)
        check_names("sources", source_z, self.sources)
        for source in self.sources:
            check_names(f"layers of source {source!r}", source_z[source], self.layers)
        samples = len(target_z[self.layers[0]])
        for source, layer in self.pairs:
            v = self.reconstruction(source, layer)
            check_shape(f"the target's layer {layer!r}", target_z[layer], (samples, *v.target_shape))
            check_shape(f"layer {layer!r} of source {source!r}", source_z[source][layer], (samples, *v.source_shape))


def _key(source: str, layer: str) -> str:
    # A module's name must have no dot; layers' and domains' names may.
    return ":".join(quote(name, safe="").replace(".", "%2E") for name in (source, layer))


def _reconstruction(source: str, layer: str, target_shape: Shape, source_shape: Shape, *, hidden: int) -> Reconstruction:
    try:
        if hidden:
            return NonlinearReconstruction(target_shape, source_shape, hidden=hidden)
        return Reconstruction(target_shape, source_shape)
    except BadArgument as error:
        raise BadArgument(f"source {source!r}, layer {layer!r}: {error}") from error
