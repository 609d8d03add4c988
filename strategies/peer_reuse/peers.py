"""Peers at the target: received weights as models, adapted to the target's statistics, and which of them is best."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from fedretina.errors import BadArgument
from fedretina.features import running_mean
from fedretina.reuse import adapt_batchnorm
from fedretina.strategies.peer_reuse.plan import Plan
from fedretina.task import Splits, Task

ADAPT_BATCH = 256
ADAPT_SAMPLES = 4096
SMALLEST_RISK = 0.01


def risk_of(score: float) -> float:
    """Give R_m of Theorem 1 for a score in percent: one minus it, but never 0, so that 1 / R_m exists.

    Examples
    --------
    >>> risk_of(75.0), risk_of(100.0)
    (0.25, 0.01)
    """
    return max(SMALLEST_RISK, 1 - score / 100)


def risks_over(scores: Mapping[str, Sequence[float]], plan: Plan) -> dict[str, float]:
    """Give R_m of each source from its scores, one a round that it was reused in, the last one that of this round.

    With ``alpha="bound"`` it is a running estimate over the rounds: few labels make one measurement uncertain. Else it
    is this round's.

    Examples
    --------
    >>> plan = Plan(target="duke", sources=("cuhk03",), alpha="bound")
    >>> risks_over({"cuhk03": [50.0, 75.0]}, plan)
    {'cuhk03': 0.375}
    """
    if plan.alpha == "bound":
        return {source: running_mean([risk_of(score) for score in series]) for source, series in scores.items()}
    return {source: risk_of(series[-1]) for source, series in scores.items()}


@dataclass(frozen=True)
class Peers:
    """The sources' models in the target domain, with BatchNorm re-estimated on its images (AdaBN).

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


def meet(weights: Mapping[str, Mapping[str, np.ndarray]], task: Task, splits: Splits, plan: Plan) -> Peers:
    """Make models of the sources' weights and adapt and measure them on the target.

    Parameters
    ----------
    weights : mapping of str to model
        By source: arrays by name, as published.
    task, splits, plan
        The target's.

    Raises
    ------
    BadArgument
        If weights do not fit the model that the task makes for their source.
    """
    models, scores = {}, {}
    for source, arrays in weights.items():
        model = task.model(source, _classes(arrays, task.head, splits.classes))
        load(model, arrays, source)
        adapt_batchnorm(model, _clean(task, splits))
        model.requires_grad_(False).eval()
        models[source] = model
        scores[source] = float(task.evaluate(model, plan.target, split="labelled")[task.metric])
    return Peers(models, scores)


def load(model: nn.Module, arrays: Mapping[str, np.ndarray], name: str) -> None:
    """Put published arrays into a model, exactly."""
    try:
        model.load_state_dict({key: torch.from_numpy(np.array(value)) for key, value in arrays.items()})
    except RuntimeError as error:
        raise BadArgument(f"the weights of {name!r} do not fit its model; is `model` the same there? {error}") from None


def arrays_of(model: nn.Module) -> dict[str, np.ndarray]:
    """Give a model's state as arrays, by name."""
    return {name: value.detach().cpu().numpy() for name, value in model.state_dict().items()}


def start_from(model: nn.Module, peer: nn.Module, head: str) -> None:
    """Copy a peer's weights into a model of the same kind, all but the head, which means something else there."""
    body = {name: value for name, value in peer.state_dict().items() if not _in(name, head)}
    model.load_state_dict(body, strict=False)


def start_from_average(model: nn.Module, peers: Sequence[nn.Module], task: Task, splits: Splits) -> None:
    """Give a model the mean of its peers' bodies, of the same kind all, and the target's own BatchNorm statistics.

    What is no floating-point number (a counter) is the first peer's.
    """
    bodies = [{name: value for name, value in peer.state_dict().items() if not _in(name, task.head)} for peer in peers]
    mean = {
        name: torch.stack([body[name] for body in bodies]).mean(0) if value.is_floating_point() else value
        for name, value in bodies[0].items()
    }
    model.load_state_dict(mean, strict=False)
    adapt_batchnorm(model, _clean(task, splits))


def _clean(task: Task, splits: Splits) -> list[Tensor]:
    everything = splits.everything()
    step = max(1, len(everything) // ADAPT_SAMPLES)
    chosen = everything[::step]
    count = max(1, round(len(chosen) / ADAPT_BATCH))
    return [task.prepare(part) for part in torch.tensor_split(chosen, count)]


def _classes(arrays: Mapping[str, np.ndarray], head: str, otherwise: int) -> int:
    """Read from the head's weights how many classes a source has."""
    found = [value.shape[0] for name, value in arrays.items() if head and _in(name, head) and value.ndim]
    return int(found[0]) if found else otherwise


def _shapes(model: nn.Module, head: str) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in model.state_dict().items() if not _in(name, head)}


def _in(name: str, module: str) -> bool:
    return bool(module) and name.startswith(f"{module}.")
