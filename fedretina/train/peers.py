"""Peers at the target: received weights become models, adapted to the target and measured on its labels."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from fedretina.errors import BadArgument
from fedretina.features import adapt_batchnorm, list_some, state_faults
from fedretina.task import Splits, Task
from fedretina.train.risks import risk_from_score
from fedretina.train.start import body_of, clean_batches, is_part

SourceWeights = Mapping[str, Mapping[str, np.ndarray]]
"""The published weights: arrays by source and by the name of the tensor."""


@dataclass(frozen=True)
class Peers:
    """The sources' models in the target domain, with BatchNorm re-estimated on its samples (AdaBN).

    Parameters
    ----------
    models : dict of str to Module
        The models by source, frozen and in eval mode.
    scores : dict of str to float
        The task's metric by source, in percent, on the target's labelled samples. No peer has seen these labels.
    """

    models: dict[str, nn.Module]
    scores: dict[str, float]

    @property
    def risks(self) -> dict[str, float]:
        """R_m of Theorem 1 by source: one minus the metric."""
        return {name: risk_from_score(score) for name, score in self.scores.items()}

    def compatible_with(self, model: nn.Module, head: str) -> list[str]:
        """List the sources whose tensors, except the head, have the same names and shapes as those of a model."""
        wanted = _body_shapes(model, head)
        return [name for name, peer in self.models.items() if _body_shapes(peer, head) == wanted]

    def best(self, model: nn.Module, head: str) -> str | None:
        """Name the compatible source with the highest score; None if no source is compatible with the model."""
        names = self.compatible_with(model, head)
        return max(names, key=lambda name: self.scores[name]) if names else None


def adapt_peers(weights: SourceWeights, task: Task, splits: Splits, target: str) -> Peers:
    """Make models of the sources' weights, adapt them to the target (AdaBN), and measure them on its labelled samples.

    Parameters
    ----------
    weights : mapping of str to mapping of str to ndarray
        The published arrays, by source and by the name of the tensor.
    task : Task
        Makes and measures the models.
    splits : Splits
        The target's data.
    target : str
        The target's name.

    Returns
    -------
    Peers
        The models and their scores.

    Raises
    ------
    BadArgument
        The weights do not fit the model that the task makes for their source, or are not finite; or the model cannot be
        measured. The message names the source.
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
    """Load published arrays into a model, bit for bit if the dtypes are equal.

    Raises
    ------
    BadArgument
        The arrays do not fit the model, or are not finite. The message names the source.
    """
    state = {key: tensor_of(value) for key, value in arrays.items()}
    if faults := state_faults(state, model.state_dict()):
        raise BadArgument(
            f"the model of {name!r} cannot be used: it {'; '.join(faults)}. It must be finite, and of the "
            f"configured `model`: configure the same `model`, lower the learning rate, or leave {name!r} out of the sources"
        )
    model.load_state_dict(state)


def tensor_of(array: np.ndarray) -> Tensor:
    """Convert a published array to a tensor, bit for bit. torch does not convert bfloat16 from numpy by itself.

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


def model_arrays(model: nn.Module) -> dict[str, np.ndarray]:
    """Give the tensors of a model's state as NumPy arrays, by name; bfloat16 becomes float32, with the same values.

    Examples
    --------
    >>> {name: array.shape for name, array in model_arrays(nn.Linear(3, 2)).items()}
    {'weight': (2, 3), 'bias': (2,)}
    """
    return tensor_arrays({name: value.detach().cpu() for name, value in model.state_dict().items()})


def tensor_arrays(tensors: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    """Give tensors on the CPU as contiguous NumPy arrays; bfloat16 becomes float32, with the same values.

    Examples
    --------
    >>> tensor_arrays({"scale": torch.tensor(2.0)})["scale"].shape
    ()
    """
    wide = {name: value.float() if value.dtype == torch.bfloat16 else value for name, value in tensors.items()}
    return {name: np.asarray(value.numpy(), order="C") for name, value in wide.items()}


def check_finite(arrays: Mapping[str, np.ndarray], name: str) -> None:
    """Refuse a model that diverged; `BadArgument` names its domain and the tensors.

    Examples
    --------
    >>> check_finite({"w": np.float32([1, 2])}, "duke")
    """
    counts = {key: int((~np.isfinite(value)).sum()) for key, value in arrays.items() if value.dtype.kind == "f"}
    if broken := [f"{key} ({count} of {arrays[key].size})" for key, count in counts.items() if count]:
        raise BadArgument(
            f"the training of {name!r} diverged: NaN or infinite values in {list_some(broken)}. A published model must be "
            f"finite: lower `lr`, or look for broken samples"
        )


@contextmanager
def _errors_about(source: str) -> Iterator[None]:
    """Name the source in the errors of the block."""
    try:
        yield
    except BadArgument as error:
        raise BadArgument(f"the model of {source!r} cannot be used on the target: {error}") from error


def _classes(arrays: Mapping[str, np.ndarray], head: str, default: int) -> int:
    """Read a source's number of classes from its head's weights; `default` if there is no head."""
    sizes = [value.shape[0] for name, value in arrays.items() if is_part(name, head) and value.ndim]
    return int(sizes[0]) if sizes else default


def _body_shapes(model: nn.Module, head: str) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in body_of(model, head).items()}
