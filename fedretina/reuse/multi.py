"""Multi-model reuse as one module for any training loop, plain PyTorch or Lightning."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from fedretina.errors import BadArgument
from fedretina.features import Taps, adapt_batchnorm, layer_outputs
from fedretina.reuse.alpha import AlphaMode
from fedretina.reuse.form import Form
from fedretina.reuse.layers import Layers
from fedretina.reuse.objective import ReuseObjective
from fedretina.reuse.pairing import pair_layers
from fedretina.reuse.schedule import Schedule, scale_gradients

Features = Mapping[str, Mapping[str, Tensor]]


class ReuseOutput(NamedTuple):
    """The result of `MultiModelReuse` for one batch.

    Attributes
    ----------
    output : Any
        The target's own output.
    loss : Tensor
        A scalar, to add to the supervised loss.
    residuals : dict of str to Tensor
        The normalised residual of each source, see `ReuseLoss`.
    """

    output: Any
    loss: Tensor
    residuals: dict[str, Tensor]


class MultiModelReuse(nn.Module):
    """A target that reuses frozen sources: layers, V, alpha and a schedule behind one call.

    Call it in place of the target and add its `loss`. Give `parameter_groups` to the optimizer, beside the target's own
    parameters. Its state is V, alpha and the running statistics: the target and the sources are not its submodules. The
    sources follow it to a device. After training only the target is needed.

    Parameters
    ----------
    target : nn.Module
        The model in training.
    sources : mapping of str to nn.Module
        The peers' models, of any architecture. They are frozen and put into eval mode, here and at each call.
    inputs : Tensor
        A batch for every model, on their device; each model runs once, so that its shapes are known.
    layers : "auto" or sequence of str, default "auto"
        The target's layers, see `choose_layers`. A layer that "auto" chose is left out, with a warning, if a source has no
        partner for it.
    source_layers : mapping of str to ("auto" or sequence of str), optional
        Names or patterns of a source's own layers: one layer for each of the target's, in the order of `layers`. Default:
        the target's names if the source has all of them, else "auto". "auto" pairs vectors with vectors and maps with
        maps; (N, C, 1, 1) counts as a vector.
    gamma : float, default 0.3
        Weight of reuse, 0 or more.
    alpha : {"bound", "learned", "uniform"}, default "bound"
        Weights of the sources, see `Alpha`.
    form : Form, optional
        Variants of Eq. 1.
    schedule : Schedule, optional
        Warm-up and ramp of gamma. A step is a call in train mode. Default: full weight from the first step.

    Raises
    ------
    BadArgument
        A layer does not exist; layers do not pair, by their number or their dimensions; or a source shares parameters with
        the target.

    Examples
    --------
    >>> generator = torch.manual_seed(0)
    >>> target = nn.Sequential(nn.Linear(20, 16), nn.Tanh(), nn.Linear(16, 4))
    >>> peer = nn.Sequential(nn.Linear(20, 50), nn.ReLU(), nn.Linear(50, 9))
    >>> images, labels = torch.randn(64, 20), torch.randint(4, (16,))
    >>> reuse = MultiModelReuse(target, {"peer": peer}, images[:2], schedule=Schedule(warm_up=5, ramp=5))
    >>> optimiser = torch.optim.Adam([{"params": target.parameters()}, *reuse.parameter_groups(lr=0.01)], lr=0.01)
    >>> for step in range(50):
    ...     reused = reuse(images)
    ...     loss = nn.functional.cross_entropy(reused.output[:16], labels) + reused.loss
    ...     optimiser.zero_grad()
    ...     loss.backward()
    ...     optimiser.step()
    >>> bool(reused.residuals["peer"] < 0.7), reuse.layers
    (True, ['1'])
    """

    steps: Tensor

    def __init__(
        self,
        target: nn.Module,
        sources: Mapping[str, nn.Module],
        inputs: Tensor,
        *,
        layers: Layers = "auto",
        source_layers: Mapping[str, Layers] | None = None,
        gamma: float = 0.3,
        alpha: AlphaMode = "bound",
        form: Form | None = None,
        schedule: Schedule | None = None,
    ) -> None:
        super().__init__()
        self._models = (target, dict(sources))  # a tuple: torch would register modules as submodules
        _check_no_shared_tensors(target, sources)
        self.pairing = pair_layers(target, sources, inputs, layers=layers, source_layers=source_layers)
        self.layers = list(self.pairing.layers)
        self.schedule = schedule or Schedule()
        self.objective = ReuseObjective(self.pairing.target, self.pairing.sources, gamma=gamma, alpha=alpha, form=form)
        self.objective.to(inputs.device)
        self.register_buffer("steps", torch.tensor(0))
        for source in sources.values():
            source.requires_grad_(False).eval()

    @property
    def target(self) -> nn.Module:
        """The model in training."""
        return self._models[0]

    @property
    def sources(self) -> dict[str, nn.Module]:
        """The frozen models, by name."""
        return self._models[1]

    def parameter_groups(self, *, lr: float) -> list[dict[str, Any]]:
        """Give the parameter groups of V and alpha for an optimizer; alpha's learning rate is ten times V's."""
        return self.objective.parameter_groups(lr=lr)

    def adapt(self, batches: Callable[[], Iterable[Tensor]]) -> None:
        """Re-estimate the sources' BatchNorm statistics on the target's inputs (AdaBN).

        Parameters
        ----------
        batches : callable
            Returns the inputs in batches; it is called once per source.
        """
        for source in self.sources.values():
            adapt_batchnorm(source, batches())

    def forward(
        self, inputs: Tensor, *, risks: Mapping[str, float] | None = None, features: Features | None = None
    ) -> ReuseOutput:
        """Run the target and the sources on a batch of labelled and unlabelled samples.

        Parameters
        ----------
        inputs : Tensor
            A batch, (N, ...).
        risks : mapping of str to float, optional
            Measured risk of each source in the target domain, see `ReuseObjective.forward`.
        features : mapping of str to mapping of str to Tensor, optional
            The sources' features of these inputs, by source and by the target's layer. They come from an earlier call of
            `features`, or from `fedretina.features.embed`. Default: the sources are run.
        """
        with Taps(self.target, self.layers) as taps:
            output = self.target(inputs)
            z = self.pairing.flatten_vectors(taps.collect())
        scaled = scale_gradients(z, self.schedule.weight(int(self.steps)))
        known = self.features(inputs) if features is None else self._flattened(features)
        term = self.objective(scaled, known, risks=risks)
        if self.training:
            self.steps += 1
        return ReuseOutput(output, term.loss, term.residuals)

    def features(self, inputs: Tensor) -> dict[str, dict[str, Tensor]]:
        """Compute the sources' features of a batch, by source and by the target's layer.

        Without augmentation the features do not change: compute them once and pass them to `forward`.
        """
        features = {}
        for name, source in self.sources.items():
            outputs = layer_outputs(source.eval(), list(self.pairing.names[name].values()), inputs)
            features[name] = self.pairing.to_target_names(name, outputs)
        return features

    def _flattened(self, features: Features) -> Features:
        return {source: self.pairing.flatten_vectors(z) for source, z in features.items()}

    @torch.no_grad()
    def fit(self, inputs: Tensor, *, strength: float = 1e-2) -> None:
        """Set every V by least squares on one large batch: as a warm start, or regularly with `Form(closed_form=True)`."""
        z = self.pairing.flatten_vectors(layer_outputs(self.target, self.layers, inputs))
        self.objective.fit(z, self.features(inputs), strength=strength)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "MultiModelReuse":
        # torch calls this for .to() and .cuda(). The sources are no submodules, so they are moved here.
        own: Any = super()._apply
        own(fn, recurse)
        moves: list[Any] = [source._apply for source in self.sources.values()]
        for move in moves:
            move(fn)
        return self


def _check_no_shared_tensors(target: nn.Module, sources: Mapping[str, nn.Module]) -> None:
    """Refuse a source that shares a tensor with the target: the tensor is frozen with the source and would not train."""
    own = {id(tensor) for tensor in (*target.parameters(), *target.buffers())}
    for name, source in sources.items():
        if any(id(tensor) in own for tensor in (*source.parameters(), *source.buffers())):
            raise BadArgument(f"source {name!r} shares parameters with the target, and is frozen: give copy.deepcopy of it")
