"""Peers at the target: received weights as models, adapted to the target's statistics and measured on its labels."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from fedretina.errors import BadArgument
from fedretina.reuse import adapt_batchnorm
from fedretina.task import Splits, Task
from fedretina.train.risks import risk_of
from fedretina.train.start import body_of, clean_batches, is_part

Weights = Mapping[str, Mapping[str, np.ndarray]]


@dataclass(frozen=True)
class Peers:
    """The sources' models in the target domain, with BatchNorm re-estimated on its samples (AdaBN).

    Parameters
    ----------
    models : dict of str to Module
        By source, in evaluation mode, frozen.
    scores : dict of str to float
        By source: the task's metric in percent on the target's labelled samples. No peer has seen these labels.
    """

    models: dict[str, nn.Module]
    scores: dict[str, float]

    @property
    def risks(self) -> dict[str, float]:
        """R_m of Theorem 1: one minus the metric, per source."""
        return {name: risk_of(score) for name, score in self.scores.items()}

    def fitting(self, like: nn.Module, head: str) -> list[str]:
        """Name the sources whose bodies have the same tensors as a model."""
        wanted = _shapes(like, head)
        return [name for name, model in self.models.items() if _shapes(model, head) == wanted]

    def best(self, like: nn.Module, head: str) -> str | None:
        """Name the best source whose body has the same tensors as a model; None if no source has."""
        fitting = self.fitting(like, head)
        return max(fitting, key=lambda name: self.scores[name]) if fitting else None


def adapt_peers(weights: Weights, task: Task, splits: Splits, target: str) -> Peers:
    """Make models of the sources' weights, adapt them to the target and measure them there.

    Parameters
    ----------
    weights : mapping of str to model
        By source: arrays by name, as published.
    task : Task
        Makes and measures the models.
    splits : Splits
        The target's data.
    target : str
        Its name.

    Raises
    ------
    BadArgument
        If weights do not fit the model that the task makes for their source.
    """
    models, scores = {}, {}
    for source, arrays in weights.items():
        model = task.model(source, _classes(arrays, task.head, splits.classes))
        load_arrays(model, arrays, source)
        adapt_batchnorm(model, clean_batches(task, splits))
        model.requires_grad_(False).eval()
        models[source] = model
        scores[source] = float(task.evaluate(model, target, split="labelled")[task.metric])
    return Peers(models, scores)


def load_arrays(model: nn.Module, arrays: Mapping[str, np.ndarray], name: str) -> None:
    """Put published arrays into a model, exactly."""
    try:
        model.load_state_dict({key: torch.from_numpy(np.array(value)) for key, value in arrays.items()})
    except RuntimeError as error:
        raise BadArgument(f"the weights of {name!r} do not fit its model; is `model` the same there? {error}") from None


def arrays_of(model: nn.Module) -> dict[str, np.ndarray]:
    """Give a model's state as arrays, by name."""
    return {name: value.detach().cpu().numpy() for name, value in model.state_dict().items()}


def _classes(arrays: Mapping[str, np.ndarray], head: str, otherwise: int) -> int:
    """Read from the head's weights how many classes a source has."""
    found = [value.shape[0] for name, value in arrays.items() if is_part(name, head) and value.ndim]
    return int(found[0]) if found else otherwise


def _shapes(model: nn.Module, head: str) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in body_of(model, head).items()}
