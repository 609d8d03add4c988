"""The second term of Eq. 1, to drop into any training loop."""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple, Self, cast
from urllib.parse import quote

import torch
from torch import Tensor, nn

from fedretina.errors import BadArgument
from fedretina.features.statistics import RunningStatistics
from fedretina.features.taps import shapes
from fedretina.reuse.alpha import Alpha, AlphaMode
from fedretina.reuse.checks import check_names, check_shape
from fedretina.reuse.form import Form
from fedretina.reuse.nonlinear import NonlinearReconstruction
from fedretina.reuse.transform import Reconstruction

Shape = Sequence[int]
Features = Mapping[str, Tensor]

ALPHA_LR = 10.0
"""alpha's learning rate beside V's: it has few steps and a smooth bound to descend."""

SMALLEST_RISK = 1e-6
"""A source that is reconstructed perfectly keeps this measured risk, so that 1 / R_m exists."""

CONSTANT = 1e-8
"""Features whose variance is a smaller part of their mean square are rounding errors about a constant."""


class ReuseLoss(NamedTuple):
    """What one step of `ReuseObjective` gives.

    Attributes
    ----------
    loss : Tensor
        Scalar, to add to the supervised loss.
    residuals : dict of str to Tensor
        Per source the normalised residual of this batch, a detached scalar: near 1 or above, the target holds
        nothing of that source; 0, all of it.
    """

    loss: Tensor
    residuals: dict[str, Tensor]


class ReuseObjective(nn.Module):
    """Reuse of frozen source models by a target: gamma * sum_n sum_h R of Eq. 1, and what teaches alpha.

    Over a batch of N samples, labelled and unlabelled alike, source m has the residual

        r_m = sum_h mean_n ||Z^mh_n - Z^h_n x_1 V_1^mh ... x_Q V_Q^mh||_F^2 / (entries * variance of Z^mh)

    and `loss = gamma * sum_m alpha_m r_m + sum_m alpha_m^2 R_m`. Eq. 1 as written differs in two ways:

    - Here samples are averaged, not summed, and each source and layer is divided by the number of its
      features and by their variance (mean over features, running over batches). So gamma means the same for
      every model and batch size. Eq. 1's inner sum for one source and layer is N * entries * variance times
      ours. V has no bias, as Eq. 2 has none: features whose mean is large beside their deviation have a
      residual far above 1. Tap such a source behind a normalisation.
    - Here alpha is held constant in the first sum, which teaches the target and V; the second is Theorem 1's
      bound and teaches alpha alone. Eq. 2 is linear in alpha: descending it would end on the easiest source.

    The parameters, V and alpha's logits, belong in the optimiser. alpha wants a larger learning rate than the
    network and no weight decay: `{"params": objective.alpha.parameters(), "lr": 0.05, "weight_decay": 0}`.
    Running statistics follow the batches in train mode only.

    Parameters
    ----------
    target_shapes : mapping of str to shape
        Per tapped layer of the target (d_1, ..., d_Q), without the batch.
    source_shapes : mapping of str to mapping of str to shape
        Per source, and under the *target's* layer names, the shapes of the features to reconstruct.
    gamma : float, default 1.0
        Weight of the reuse term, >= 0.
    alpha : {"learned", "bound", "uniform"}, default "learned"
        Weights of the sources by Theorem 1, descended or set at once; or all equal.
    form : Form, optional
        Eq. 1's other forms: learned otherwise, per layer, with V non-linear or set by least squares, summed literally.

    Raises
    ------
    BadArgument
        No layer or source, layers missing from a source, orders that differ, gamma negative or not finite.

    Examples
    --------
    >>> objective = ReuseObjective({"embedding": (8,)}, {"cuhk03": {"embedding": (16,)}}, gamma=0.3)
    >>> step = objective({"embedding": torch.randn(4, 8)}, {"cuhk03": {"embedding": torch.randn(4, 16)}})
    >>> step.loss.requires_grad, list(step.residuals)
    (True, ['cuhk03'])
    """

    def __init__(
        self,
        target_shapes: Mapping[str, Shape],
        source_shapes: Mapping[str, Mapping[str, Shape]],
        *,
        gamma: float = 1.0,
        alpha: AlphaMode = "learned",
        form: Form | None = None,
    ) -> None:
        super().__init__()
        if not (math.isfinite(gamma) and gamma >= 0):
            raise BadArgument(f"gamma is {gamma}: it must be 0 or more, and finite")
        if not target_shapes:
            raise BadArgument("target_shapes is empty: name at least one layer to reuse")
        self.gamma, self.form = gamma, form or Form()
        # Sorted, so that a saved state means the same whatever the order of the caller's mappings.
        self.layers = tuple(sorted(target_shapes))
        self.alpha = Alpha(sorted(source_shapes), mode=alpha, layers=self.layers if self.form.per_layer else None)
        self.v = nn.ModuleDict()
        for source in self.alpha.sources:
            check_names(f"layers of source {source!r}", source_shapes[source], self.layers)
            for layer in self.layers:
                shapes = target_shapes[layer], source_shapes[source][layer]
                self.v[_key(source, layer)] = _reconstruction(source, layer, *shapes, hidden=self.form.hidden)
        self.v.requires_grad_(not self.form.closed)
        self.running = RunningStatistics(len(self.alpha.sources), len(self.layers))

    @classmethod
    def probe(
        cls,
        target: nn.Module,
        sources: Mapping[str, nn.Module],
        layers: Sequence[str],
        inputs: Tensor,
        *,
        gamma: float = 1.0,
        alpha: AlphaMode = "learned",
        form: Form | None = None,
    ) -> Self:
        """Make the objective for given models: each runs once, in eval mode, to show its shapes.

        Parameters
        ----------
        target : nn.Module
            The student. Neither it nor a source is changed.
        sources : mapping of str to nn.Module
            The peers' models.
        layers : sequence of str
            Layers to tap, of the same name in every model; `Taps` says how to name them.
        inputs : Tensor
            A batch for every model, on their device; the objective moves there too.
        gamma, alpha, form
            As for the class.

        Examples
        --------
        >>> nets = [nn.Sequential(nn.Linear(4, width), nn.Linear(width, 2)) for width in (3, 5)]
        >>> objective = ReuseObjective.probe(nets[0], {"peer": nets[1]}, ["0"], torch.ones(2, 4))
        >>> objective.reconstruction("peer", "0").source_shape
        (5,)
        """
        target_shapes = shapes(target, layers, inputs)
        source_shapes = {name: shapes(model, layers, inputs) for name, model in sources.items()}
        return cls(target_shapes, source_shapes, gamma=gamma, alpha=alpha, form=form).to(inputs.device)

    def reconstruction(self, source: str, layer: str) -> Reconstruction:
        """Give V of a source's layer, for instance to `fit` it before training."""
        if source not in self.alpha.sources or layer not in self.layers:
            raise BadArgument(
                f"there is no V for layer {layer!r} of source {source!r}: the sources are "
                f"{list(self.alpha.sources)}, the layers {list(self.layers)}"
            )
        return cast(Reconstruction, self.v[_key(source, layer)])

    def parameter_groups(self, *, lr: float) -> list[dict[str, Any]]:
        """Give the optimizer's parameter groups of V and alpha; alpha's learning rate is ten times V's."""
        alpha = list(self.alpha.parameters())
        v = [p for p in self.v.parameters() if p.requires_grad]
        groups = [{"params": v, "lr": lr}, {"params": alpha, "lr": ALPHA_LR * lr, "weight_decay": 0.0}]
        return [group for group in groups if group["params"]]

    def fit(
        self,
        target_z: Features,
        source_z: Mapping[str, Features],
        *,
        sources: Collection[str] | None = None,
        strength: float = 1e-2,
    ) -> None:
        """Warm V by `Reconstruction.fit` on the features of one large batch; with `sources` only theirs."""
        self._check(target_z, source_z)
        for source, layer in self._pairs():
            if sources is None or source in sources:
                v = self.reconstruction(source, layer)
                v.fit(target_z[layer], source_z[source][layer], strength=strength)

    def forward(
        self,
        target_z: Features,
        source_z: Mapping[str, Features],
        *,
        risks: Mapping[str, float] | None = None,
    ) -> ReuseLoss:
        """Compute the reuse loss of a batch.

        Parameters
        ----------
        target_z : mapping of str to Tensor
            Z^h per layer, (N, d_1, ..., d_Q), with its graph: `Taps.collect()`.
        source_z : mapping of str to mapping of str to Tensor
            Z^mh per source and layer: the same N samples, made under `torch.no_grad()`.
        risks : mapping of str to float, optional
            R_m > 0 of each transformed source in the target domain, measured: 1 - mAP on labelled samples
            held out, say. Without it the running mean of r_m stands in. That knows no labels, so it also
            trusts a source that is easily reconstructed and useless: measure where a source may be bad.

        Returns
        -------
        ReuseLoss
            loss and residuals.

        Raises
        ------
        BadArgument
            Sources or layers missing or unknown, shapes or sample counts that differ, features that are not
            finite, or constant over all the samples seen (N = 1 at first), a risk not positive.
        """
        self._check(target_z, source_z)
        variance = self._running_variance(source_z)
        errors = self._errors(target_z, source_z)
        table = errors / variance
        residual = table.sum(1)
        self._check_finite(residual)
        self.running.remember(variance, table.detach())
        measured = self._running_risks(table) if risks is None else self.alpha.measured(risks)
        if self.alpha.mode == "bound":
            self.alpha.settle(measured)
        bound = self.alpha.loss(measured, kind=self.form.alpha_loss, temperature=self.form.temperature)
        summed = errors * self._entries(source_z) if self.form.literal else table
        loss = self.gamma * self._weighted(summed) + bound
        return ReuseLoss(loss, dict(zip(self.alpha.sources, residual.detach(), strict=True)))

    def _weighted(self, summed: Tensor) -> Tensor:
        """Eq. 2's sum over the sources, and Eq. 1's over the layers; alpha is not taught by it."""
        weights = self.alpha().detach()
        total: Tensor = (weights * (summed.sum(1) if weights.dim() == 1 else summed)).sum()
        return total

    def _entries(self, source_z: Mapping[str, Features]) -> Tensor:
        """How many squares each mean is over: samples times features, (M, H')."""
        counts = [float(source_z[source][layer].numel()) for source, layer in self._pairs()]
        return self._table([self.running.residual.new_tensor(count) for count in counts])

    def _pairs(self) -> list[tuple[str, str]]:
        return [(source, layer) for source in self.alpha.sources for layer in self.layers]

    def _table(self, values: Sequence[Tensor]) -> Tensor:
        """Arrange one value a pair as (M, H')."""
        return torch.stack(tuple(values)).view(len(self.alpha.sources), len(self.layers))

    def _errors(self, target_z: Features, source_z: Mapping[str, Features]) -> Tensor:
        """Average R's summand in Eq. 2 over samples and features; sources are frozen and get no gradient."""
        errors = []
        for source, layer in self._pairs():
            made = self.reconstruction(source, layer)(target_z[layer])
            errors.append((source_z[source][layer].detach().to(made.dtype) - made).square().mean())
        return self._table(errors)

    @torch.no_grad()
    def _running_variance(self, source_z: Mapping[str, Features]) -> Tensor:
        features = [source_z[source][layer].float() for source, layer in self._pairs()]
        variance = self.running.with_batch(self._table([z.var(0, correction=0).mean() for z in features]))
        constant = variance <= CONSTANT * self._table([z.square().mean() for z in features])
        for (source, layer), stuck in zip(self._pairs(), constant.flatten().tolist(), strict=True):
            if stuck:
                raise BadArgument(
                    f"layer {layer!r} of source {source!r} is the same for every sample seen: give at least "
                    f"2 different samples; if it stays so, leave the source out"
                )
        return variance

    def _running_risks(self, table: Tensor) -> Tensor:
        """Give what stands in for measured risks, arranged as alpha is."""
        risk = self.running.residual if self.running.batches else table.detach()
        return (risk if self.form.per_layer else risk.sum(1)).clamp_min(SMALLEST_RISK)

    def _check(self, target_z: Features, source_z: Mapping[str, Features]) -> None:
        check_names("the target's layers", target_z, self.layers)
        check_names("sources", source_z, self.alpha.sources)
        for source in self.alpha.sources:
            check_names(f"layers of source {source!r}", source_z[source], self.layers)
        samples = len(target_z[self.layers[0]])
        for source, layer in self._pairs():
            v = self.reconstruction(source, layer)
            check_shape(f"the target's layer {layer!r}", target_z[layer], (samples, *v.target_shape))
            check_shape(f"layer {layer!r} of source {source!r}", source_z[source][layer], (samples, *v.source_shape))

    def _check_finite(self, residual: Tensor) -> None:
        for source, finite in zip(self.alpha.sources, residual.isfinite().tolist(), strict=True):
            if not finite:
                raise BadArgument(
                    f"the residual of source {source!r} is not finite: its features, the target's or V have "
                    f"NaN or infinite values; leave a broken source out, or lower the learning rate"
                )


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
