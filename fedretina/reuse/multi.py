"""Multi-model reuse as one object for any training loop, plain or Lightning."""

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
from fedretina.reuse.pairing import pair
from fedretina.reuse.schedule import Schedule, scale_gradients

Features = Mapping[str, Mapping[str, Tensor]]


class Reused(NamedTuple):
    """What a batch gave.

    Attributes
    ----------
    output : Any
        The target's own output.
    loss : Tensor
        A scalar, to add to the supervised loss.
    residuals : dict of str to Tensor
        Per source how much of it the target does not hold, see `ReuseLoss`.
    """

    output: Any
    loss: Tensor
    residuals: dict[str, Tensor]


class MultiModelReuse(nn.Module):
    """A target that reuses frozen sources: taps, V, alpha and a schedule, behind one call.

    Call it in place of the target; add `loss`; give `groups` to the optimiser beside the target's own parameters. It
    holds neither the target nor the sources as submodules: its state is V, alpha and the running statistics, and the
    sources follow it to a device. Nothing of it is needed after training.

    Parameters
    ----------
    target : nn.Module
        What is trained.
    sources : mapping of str to nn.Module
        The peers' models, of any architecture: they are frozen and put into eval mode, here and at each call.
    inputs : Tensor
        A batch for every model, on their device, to see shapes by.
    layers : "auto" or sequence of str, default "auto"
        The target's layers, see `choose_layers`. Of those that "auto" chose, one without a partner in every source is
        left out, with a warning.
    source_layers : mapping of str to ("auto" or sequence of str), optional
        Where a source's layers have other names: as many names or patterns as choose one for each of the target's layers,
        in the order of `layers`. A source that is not named has the target's names, if it has such layers; else, and by
        "auto", vectors are paired with its vectors, maps with its maps; (N, C, 1, 1) is a vector.
    gamma : float, default 0.3
        Weight of reuse.
    alpha : {"bound", "learned", "uniform"}, default "bound"
        Weights of the sources, see `Alpha`.
    form : Form, optional
        Other forms of Eq. 1.
    schedule : Schedule, optional
        Warm-up and ramp of the weight of reuse, in calls in train mode; default: in full at once.

    Raises
    ------
    BadArgument
        Layers that are not there, or that do not pair: another number of them, or another number of dimensions; or a source
        that shares parameters with the target.

    Examples
    --------
    >>> generator = torch.manual_seed(0)
    >>> target = nn.Sequential(nn.Linear(20, 16), nn.Tanh(), nn.Linear(16, 4))
    >>> peer = nn.Sequential(nn.Linear(20, 50), nn.ReLU(), nn.Linear(50, 9))
    >>> images, labels = torch.randn(64, 20), torch.randint(4, (16,))
    >>> reuse = MultiModelReuse(target, {"peer": peer}, images[:2], schedule=Schedule(warm_up=5, ramp=5))
    >>> optimiser = torch.optim.Adam([{"params": target.parameters()}, *reuse.groups(lr=0.01)], lr=0.01)
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
        self._held = (target, dict(sources))  # a tuple: torch must not take them for submodules
        _check_apart(target, sources)
        self.pairing = pair(target, sources, inputs, layers=layers, source_layers=source_layers)
        self.layers = list(self.pairing.layers)
        self.schedule = schedule or Schedule()
        self.objective = ReuseObjective(self.pairing.target, self.pairing.sources, gamma=gamma, alpha=alpha, form=form)
        self.objective.to(inputs.device)
        self.register_buffer("steps", torch.tensor(0))
        for source in sources.values():
            source.requires_grad_(False).eval()

    @property
    def target(self) -> nn.Module:
        """The model that is trained."""
        return self._held[0]

    @property
    def sources(self) -> dict[str, nn.Module]:
        """The frozen models, by name."""
        return self._held[1]

    def groups(self, *, lr: float) -> list[dict[str, Any]]:
        """Give the parameter groups of V and alpha for an optimizer; alpha's learning rate is ten times V's."""
        return self.objective.parameter_groups(lr=lr)

    def adapt(self, batches: Callable[[], Iterable[Tensor]]) -> None:
        """Re-estimate the sources' BatchNorm statistics on the target's inputs (AdaBN).

        Parameters
        ----------
        batches : callable
            Gives the inputs in batches; called once a source.
        """
        for source in self.sources.values():
            adapt_batchnorm(source, batches())

    def forward(
        self, inputs: Tensor, *, risks: Mapping[str, float] | None = None, features: Features | None = None
    ) -> Reused:
        """Run the target and the sources on a batch, labelled and unlabelled samples alike.

        Parameters
        ----------
        inputs : Tensor
            (N, ...).
        risks : mapping of str to float, optional
            Measured risk of each source in the target domain, see `ReuseObjective.forward`.
        features : mapping of str to mapping of str to Tensor, optional
            What the sources say of these inputs, by source and the target's layer, where it is known: from an earlier call
            of `features`, or of `embed` with BatchNorm statistics per group. Else the sources are run.
        """
        with Taps(self.target, self.layers) as taps:
            output = self.target(inputs)
            z = self.pairing.flat(taps.collect())
        scaled = scale_gradients(z, self.schedule.weight(int(self.steps)))
        known = self.features(inputs) if features is None else {n: self.pairing.flat(z) for n, z in features.items()}
        term = self.objective(scaled, known, risks=risks)
        if self.training:
            self.steps += 1
        return Reused(output, term.loss, term.residuals)

    def features(self, inputs: Tensor) -> dict[str, dict[str, Tensor]]:
        """Give the sources' layers for a batch, under the target's names: where nothing is augmented, once is enough."""
        found = {}
        for name, source in self.sources.items():
            outputs = layer_outputs(source.eval(), list(self.pairing.names[name].values()), inputs)
            found[name] = self.pairing.renamed(name, outputs)
        return found

    @torch.no_grad()
    def fit(self, inputs: Tensor, *, strength: float = 1e-2) -> None:
        """Set every V by least squares on one large batch: a warm start, or the refresh of `Form(closed=True)`."""
        z = self.pairing.flat(layer_outputs(self.target, self.layers, inputs))
        self.objective.fit(z, self.features(inputs), strength=strength)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "MultiModelReuse":
        # torch's hook behind .to() and .cuda(): the sources are no submodules, and go along all the same.
        own: Any = super()._apply
        own(fn, recurse)
        moves: list[Any] = [source._apply for source in self.sources.values()]
        for move in moves:
            move(fn)
        return self


def _check_apart(target: nn.Module, sources: Mapping[str, nn.Module]) -> None:
    """Refuse a source that holds a tensor of the target's: frozen with the source, it would not train."""
    own = {id(tensor) for tensor in (*target.parameters(), *target.buffers())}
    for name, source in sources.items():
        if any(id(tensor) in own for tensor in (*source.parameters(), *source.buffers())):
            raise BadArgument(f"source {name!r} shares parameters with the target, and is frozen: give copy.deepcopy of it")
