"""The second term of Eq. 1, for any training loop."""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn

from fedretina.errors import BadArgument
from fedretina.features import RunningStatistics, layer_shapes
from fedretina.reuse.alpha import Alpha, AlphaMode
from fedretina.reuse.form import Form
from fedretina.reuse.reconstructions import Features, Reconstructions, Shape
from fedretina.reuse.transform import Reconstruction

ALPHA_LR = 10.0
"""Factor from V's learning rate to alpha's: alpha has few steps and a smooth bound to descend."""

SMALLEST_RISK = 1e-6
"""Risk of a source that is reconstructed perfectly, so that 1 / R_m exists."""

CONSTANT = 1e-8
"""Features count as constant if their variance is at most this fraction of their mean square: it is rounding error."""


class ReuseLoss(NamedTuple):
    """The result of one step of `ReuseObjective`.

    Attributes
    ----------
    loss : Tensor
        A scalar, to add to the supervised loss.
    residuals : dict of str to Tensor
        The normalised residual of each source in this batch, a detached scalar. 0: the target reconstructs the source
        completely. 1 or more: it reconstructs nothing of it.
    """

    loss: Tensor
    residuals: dict[str, Tensor]


class ReuseObjective(nn.Module):
    """Reuse of frozen sources by a target: gamma * sum_n sum_h R of Eq. 1, and the bound that trains alpha.

    Over a batch of N samples, labelled and unlabelled alike, source m has the residual

        r_m = sum_h mean_n ||Z^mh_n - Z^h_n x_1 V_1^mh ... x_Q V_Q^mh||_F^2 / (entries * variance of Z^mh)

    and `loss = gamma * sum_m alpha_m r_m + sum_m alpha_m^2 R_m`. It differs from Eq. 1 as printed in two ways:

    - Samples are averaged, not summed. Each source and layer is divided by the number of its features and by their
      variance (mean over features, running over batches). So gamma means the same for every model and batch size.
      Eq. 1's inner sum for one source and layer is N * entries * variance times ours.
    - alpha is constant in the first sum, which trains the target and V. The second sum is Theorem 1's bound and trains
      alpha alone. Eq. 2 is linear in alpha: its descent would end on the source that is easiest to reconstruct.

    V has no bias, as in Eq. 2. Features with a mean much larger than their deviation have a residual far above 1: put a
    normalisation before the layer.

    The parameters are V and alpha's logits; give both to the optimizer. alpha needs a larger learning rate than the
    network and no weight decay, as `parameter_groups` sets them. Running statistics change in train mode only.

    Parameters
    ----------
    target_shapes : mapping of str to shape
        Shapes (d_1, ..., d_Q) of the target's layers, without the batch.
    source_shapes : mapping of str to mapping of str to shape
        Shapes of the features to reconstruct, by source and by the *target's* layer.
    gamma : float, default 1.0
        Weight of the reuse term, 0 or more.
    alpha : {"learned", "bound", "uniform"}, default "learned"
        Weights of the sources. "learned": they descend Theorem 1's bound. "bound": they are set to its optimum at every
        step. "uniform": all are equal.
    form : Form, optional
        Variants of Eq. 1. Default: the form described here.

    Raises
    ------
    BadArgument
        There is no layer or no source; a source lacks a layer; two orders differ; gamma is negative or not finite.

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
        self.layers = tuple(sorted(target_shapes))
        self.alpha = Alpha(sorted(source_shapes), mode=alpha, layers=self.layers if self.form.per_layer else None)
        self.v = Reconstructions(target_shapes, source_shapes, hidden=self.form.hidden)
        self.v.requires_grad_(not self.form.closed_form)
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
        """Make the objective for given models. Each model runs once, in eval mode, so that its shapes are known.

        Parameters
        ----------
        target : nn.Module
            The student. Neither it nor a source is changed.
        sources : mapping of str to nn.Module
            The peers' models.
        layers : sequence of str
            Layers to reconstruct, with the same name in every model; see `fedretina.features.Taps`.
        inputs : Tensor
            A batch for every model, on their device. The objective moves to this device.
        gamma, alpha, form
            As for the class.

        Examples
        --------
        >>> nets = [nn.Sequential(nn.Linear(4, width), nn.Linear(width, 2)) for width in (3, 5)]
        >>> objective = ReuseObjective.probe(nets[0], {"peer": nets[1]}, ["0"], torch.ones(2, 4))
        >>> objective.reconstruction("peer", "0").source_shape
        (5,)
        """
        target_shapes = layer_shapes(target, layers, inputs)
        source_shapes = {name: layer_shapes(model, layers, inputs) for name, model in sources.items()}
        return cls(target_shapes, source_shapes, gamma=gamma, alpha=alpha, form=form).to(inputs.device)

    def reconstruction(self, source: str, layer: str) -> Reconstruction:
        """Give V of one source and layer; `BadArgument` names those that exist."""
        return self.v.reconstruction(source, layer)

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
        """Set V by least squares on the features of one large batch, as a warm start; see `Reconstruction.fit`.

        Parameters
        ----------
        target_z, source_z
            As for `forward`.
        sources : collection of str, optional
            Sources whose V is set. Default: all.
        strength : float, default 0.01
            As for `ridge`.
        """
        self.v.check(target_z, source_z)
        self.v.fit(target_z, source_z, sources=sources, strength=strength)

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
            Z^mh per source and layer, of the same N samples, computed under `torch.no_grad()`.
        risks : mapping of str to float, optional
            R_m > 0 of each transformed source in the target domain, as measured: for instance 1 - mAP on labelled
            samples that were held out. Default: the running mean of r_m. This default uses no labels, so a source that
            is easy to reconstruct but useless gets a large weight. Measure the risks where a source may be bad.

        Returns
        -------
        ReuseLoss
            The loss and the residuals.

        Raises
        ------
        BadArgument
            Sources or layers are missing or unknown; shapes or numbers of samples differ; a risk is not positive; or
            features are not finite, or constant over all samples so far (N = 1 at first).
        """
        self.v.check(target_z, source_z)
        variance = self._running_variance(source_z)
        errors = self.v.mean_squared_errors(target_z, source_z)
        normalised = errors / variance
        residual = normalised.sum(1)
        self._check_finite(residual)
        self.running.update(variance, normalised.detach())
        measured = self._running_risks(normalised) if risks is None else self.alpha.risk_tensor(risks)
        if self.alpha.mode == "bound":
            self.alpha.set_optimum(measured)
        bound = self.alpha.loss(measured, kind=self.form.alpha_loss, temperature=self.form.temperature)
        terms = errors * self._entries(source_z) if self.form.literal else normalised
        loss = self.gamma * self._weighted_sum(terms) + bound
        return ReuseLoss(loss, dict(zip(self.alpha.sources, residual.detach(), strict=True)))

    def _weighted_sum(self, terms: Tensor) -> Tensor:
        """Sum over the sources as in Eq. 2, and over the layers as in Eq. 1; alpha gets no gradient."""
        weights = self.alpha().detach()
        total: Tensor = (weights * (terms.sum(1) if weights.dim() == 1 else terms)).sum()
        return total

    def _entries(self, source_z: Mapping[str, Features]) -> Tensor:
        """Count the squares that each mean is over: samples times features, (M, H')."""
        counts = [float(source_z[source][layer].numel()) for source, layer in self.v.pairs]
        return self.v.table([self.running.residual.new_tensor(count) for count in counts])

    @torch.no_grad()
    def _running_variance(self, source_z: Mapping[str, Features]) -> Tensor:
        features = [source_z[source][layer].float() for source, layer in self.v.pairs]
        variance = self.running.next_variance(self.v.table([z.var(0, correction=0).mean() for z in features]))
        constant = variance <= CONSTANT * self.v.table([z.square().mean() for z in features])
        for (source, layer), is_constant in zip(self.v.pairs, constant.flatten().tolist(), strict=True):
            if is_constant:
                raise BadArgument(
                    f"layer {layer!r} of source {source!r} is the same for every sample seen: give at least "
                    f"2 different samples; if it stays so, leave the source out"
                )
        return variance

    def _running_risks(self, normalised: Tensor) -> Tensor:
        """Give the running residuals in place of measured risks, arranged as alpha is."""
        risk = self.running.residual if self.running.batches else normalised.detach()
        return (risk if self.form.per_layer else risk.sum(1)).clamp_min(SMALLEST_RISK)

    def _check_finite(self, residual: Tensor) -> None:
        for source, finite in zip(self.alpha.sources, residual.isfinite().tolist(), strict=True):
            if not finite:
                raise BadArgument(
                    f"the residual of source {source!r} is not finite: its features, the target's or V have "
                    f"NaN or infinite values; leave a broken source out, or lower the learning rate"
                )
