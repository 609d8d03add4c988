"""Peers at the target: received weights as models, adapted to the target's statistics and measured on its labels."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from fedretina.errors import BadArgument
from fedretina.features.states import misfits, some
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
        If weights do not fit the model that the task makes for their source, or are not finite; if the model cannot be
        measured. The source is named.
    """
    models, scores = {}, {}
    for source, arrays in weights.items():
        model = task.model(source, _classes(arrays, task.head, splits.classes)).float()
        load_arrays(model, arrays, source)
        with _errors_about(source):
            adapt_batchnorm(model, clean_batches(task, splits))
            model.requires_grad_(False).eval()
            scores[source] = float(task.evaluate(model, target, split="labelled")[task.metric])
        models[source] = model
    return Peers(models, scores)


def load_arrays(model: nn.Module, arrays: Mapping[str, np.ndarray], name: str) -> None:
    """Put published arrays into a model, exactly where the dtypes are the same.

    Raises
    ------
    BadArgument
        If they are not the model's, or not finite; it names the source.
    """
    state = {key: tensor_of(value) for key, value in arrays.items()}
    if faults := misfits(state, model.state_dict()):
        raise BadArgument(
            f"the model of {name!r} cannot be used: it {'; '.join(faults)}. It must be finite and of the kind that `model` "
            f"says for {name!r}: set `model` right, lower the learning rate, or leave {name!r} out of the sources"
        )
    model.load_state_dict(state)


def tensor_of(array: np.ndarray) -> Tensor:
    """Make a tensor of a published array; bfloat16, which torch does not take from numpy, keeps its bits.

    Examples
    --------
    >>> import ml_dtypes
    >>> tensor_of(np.array([1.5], ml_dtypes.bfloat16))
    tensor([1.5000], dtype=torch.bfloat16)
    """
    array = np.array(array)
    if array.dtype.name != "bfloat16":
        return torch.from_numpy(array)
    return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)


def arrays_of(model: nn.Module) -> dict[str, np.ndarray]:
    """Give a model's state as arrays, by name; bfloat16 becomes float32, which holds the same values."""
    state = {name: value.detach().cpu() for name, value in model.state_dict().items()}
    return {name: (value.float() if value.dtype == torch.bfloat16 else value).numpy() for name, value in state.items()}


def check_finite(arrays: Mapping[str, np.ndarray], name: str) -> None:
    """Refuse to publish a model that diverged: `BadArgument` names its domain, the tensors, and what to do.

    Examples
    --------
    >>> check_finite({"w": np.float32([1, 2])}, "duke")
    """
    counts = {key: int((~np.isfinite(value)).sum()) for key, value in arrays.items() if value.dtype.kind == "f"}
    if broken := [f"{key} ({count} of {arrays[key].size})" for key, count in counts.items() if count]:
        raise BadArgument(
            f"the training of {name!r} diverged: NaN or infinite values in {some(broken)}. A published model must be "
            f"finite: lower `lr`, or look for broken samples"
        )


@contextmanager
def _errors_about(source: str) -> Iterator[None]:
    """Say of what is raised in the block which source it is about."""
    try:
        yield
    except BadArgument as error:
        raise BadArgument(f"the model of {source!r} cannot be used on the target: {error}") from error


def _classes(arrays: Mapping[str, np.ndarray], head: str, otherwise: int) -> int:
    """Read from the head's weights how many classes a source has."""
    found = [value.shape[0] for name, value in arrays.items() if is_part(name, head) and value.ndim]
    return int(found[0]) if found else otherwise


def _shapes(model: nn.Module, head: str) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in body_of(model, head).items()}
