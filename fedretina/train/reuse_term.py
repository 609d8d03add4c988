"""Eq. 1's second term in a learner: frozen peers, and the objective that reconstructs their layers."""

from collections.abc import Collection, Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from fedretina.reuse import ReuseLoss, ReuseObjective, adapt_batchnorm, layer_outputs, linear_ramp, scale_gradients
from fedretina.task import Splits, Task
from fedretina.train.compute import runner, to_float32
from fedretina.train.term import ForwardPass, Term
from fedretina.train.training import Training

RAMP = 1 / 6
"""Part of the training in which the weight of reuse grows: at first a new head would be moved too far."""
WARM_SAMPLES = 1024


class ReuseTerm(Term):
    """Eq. 1's second term.

    Parameters
    ----------
    peers : mapping of str to Module
        The sources, in evaluation mode.
    objective : ReuseObjective
        V and alpha.
    risks : mapping of str to float
        Measured risk of each source in the target domain (Theorem 1).
    training : Training
        Device and precision of the peers.
    """

    def __init__(
        self, peers: Mapping[str, nn.Module], objective: ReuseObjective, risks: Mapping[str, float], *, training: Training
    ) -> None:
        self.peers, self.objective, self.risks = peers, objective, risks
        self.layers = objective.layers
        self._run = runner(training)

    @property
    def module(self) -> nn.Module:
        """V and alpha."""
        return self.objective

    @property
    def alpha(self) -> dict[str, float]:
        """The weights of the sources."""
        return self.objective.alpha.values()

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Give V's parameters and alpha's; V has none where it is set by least squares."""
        groups = self.objective.parameter_groups(lr=1.0)
        return [{"scale": group.pop("lr"), **group} for group in groups]

    @torch.no_grad()
    def warm_up(self, model: nn.Module, inputs: Tensor, *, sources: Collection[str] | None = None) -> None:
        """Set V by least squares on clean inputs; otherwise the target would first move to where V happens to be.

        The BatchNorm statistics of a new model are meaningless: V is fitted to the features that it will see in training.
        With `sources` only their V is set.
        """
        adapted = deepcopy(model)
        adapt_batchnorm(adapted, [inputs])
        z = layer_outputs(adapted, self.layers, inputs)
        self.objective.fit(z, self._features(inputs), sources=sources)

    def loss(self, forward: ForwardPass) -> Tensor:
        """Compute the term for a batch; its inputs go through every peer. Its weight for the target grows at first."""
        # V learns in full from the first step.
        scaled = scale_gradients(forward.z, linear_ramp(forward.progress, RAMP))
        term: ReuseLoss = self.objective(scaled, self._features(forward.inputs), risks=self.risks)
        return term.loss

    def _features(self, inputs: Tensor) -> dict[str, dict[str, Tensor]]:
        return {
            name: to_float32(layer_outputs(peer, self.layers, inputs, run=self._run)) for name, peer in self.peers.items()
        }


def warm_up_inputs(task: Task, splits: Splits) -> Tensor:
    """Give the clean inputs of a domain to fit V on."""
    everything = splits.everything()
    return task.prepare(everything[:: max(1, len(everything) // WARM_SAMPLES)])
