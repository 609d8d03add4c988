"""The second term of Eq. 1 in a learner: frozen peers, and the objective that reconstructs their layers."""

from collections.abc import Collection, Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from fedretina.features import adapt_batchnorm, layer_outputs
from fedretina.reuse import ReuseLoss, ReuseObjective, linear_ramp, scale_gradients
from fedretina.task import Splits, Task
from fedretina.train.compute import forward_function, to_float32
from fedretina.train.term import ForwardPass, Term
from fedretina.train.training import Training

RAMP = 1 / 6
"""Fraction of the training in which the weight of reuse grows from 0 to 1. A new head would change too much at first."""

WARM_UP_SAMPLES = 1024
"""V is warmed up on this many samples or more, but fewer than twice as many."""


class ReuseTerm(Term):
    """The second term of Eq. 1, as a term of a learner's loss.

    Parameters
    ----------
    peers : mapping of str to Module
        The sources, in eval mode.
    objective : ReuseObjective
        Has V and alpha as parameters.
    risks : mapping of str to float
        Measured risk of each source in the target domain (Theorem 1).
    training : Training
        Determines the device and the precision of the peers.
    """

    def __init__(
        self, peers: Mapping[str, nn.Module], objective: ReuseObjective, risks: Mapping[str, float], *, training: Training
    ) -> None:
        self.peers, self.objective, self.risks = peers, objective, risks
        self.layers = objective.layers
        self._run = forward_function(training)

    @property
    def module(self) -> nn.Module:
        """The objective, with V and alpha."""
        return self.objective

    @property
    def alpha(self) -> dict[str, float]:
        """The weights of the sources by name."""
        return self.objective.alpha.values()

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Give the parameter groups of V and alpha; V has none if it is set by least squares."""
        groups = self.objective.parameter_groups(lr=1.0)
        return [{"scale": group.pop("lr"), **group} for group in groups]

    @torch.no_grad()
    def warm_up(self, model: nn.Module, inputs: Tensor, *, sources: Collection[str] | None = None) -> None:
        """Set V by least squares on inputs without augmentation; a random V would pull the target towards itself at first.

        The BatchNorm statistics of a new model are meaningless, so V is fitted to a copy with adapted statistics.

        Parameters
        ----------
        model : Module
            The target.
        inputs : Tensor
            Prepared samples, (N, ...), on the model's device.
        sources : collection of str, optional
            Sources whose V is set. Default: all.
        """
        adapted = deepcopy(model)
        adapt_batchnorm(adapted, [inputs])
        z = layer_outputs(adapted, self.layers, inputs)
        self.objective.fit(z, self._features(inputs), sources=sources)

    def loss(self, forward: ForwardPass) -> Tensor:
        """Compute the term for a batch. Every peer runs on its inputs."""
        # The target's gradient grows at first; V gets its full gradient from the first step.
        scaled = scale_gradients(forward.z, linear_ramp(forward.progress, RAMP))
        term: ReuseLoss = self.objective(scaled, self._features(forward.inputs), risks=self.risks)
        return term.loss

    def _features(self, inputs: Tensor) -> dict[str, dict[str, Tensor]]:
        return {
            name: to_float32(layer_outputs(peer, self.layers, inputs, run=self._run)) for name, peer in self.peers.items()
        }


def warm_up_inputs(task: Task, splits: Splits) -> Tensor:
    """Give samples of a domain, prepared without augmentation, for `ReuseTerm.warm_up`."""
    everything = splits.everything()
    return task.prepare(everything[:: max(1, len(everything) // WARM_UP_SAMPLES)])
