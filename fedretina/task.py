"""What a user brings: the data, the model, the loss and the measure of his own problem.

An algorithm in ``fedretina.strategies`` sees a `Task` and nothing else of the problem, so the same strategy serves
pedestrians, digits and whatever comes next.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

Split = Literal["labelled", "test"]
Kind = Literal["classification", "retrieval"]


@dataclass(frozen=True)
class Splits:
    """The training data of one domain.

    Parameters
    ----------
    inputs : Tensor
        Labelled samples as stored, shape (N_l, ...), any dtype (bytes are fine: `Task.prepare` makes floats of them).
    labels : Tensor
        Class numbers, shape (N_l,), int64, from 0 without gaps.
    unlabelled : Tensor
        Samples without labels, shape (N_u, ...); empty by default.
    hidden : Tensor or None
        The labels of `unlabelled` where an experiment knows them, shape (N_u,), int64. Only the
        baseline "all labels" learns from them.
    groups : Tensor or None
        Where each sample comes from, such as its camera, shape (N_l + N_u,), int64, in the order of `everything`; None where
        that is not known.

    Examples
    --------
    >>> splits = Splits(torch.zeros(4, 2), torch.tensor([0, 1, 1, 0]))
    >>> splits.classes, len(splits.everything())
    (2, 4)
    """

    inputs: Tensor
    labels: Tensor
    unlabelled: Tensor = field(default_factory=lambda: torch.empty(0))
    hidden: Tensor | None = None
    groups: Tensor | None = None

    @property
    def classes(self) -> int:
        """Number of classes among the labelled samples."""
        return int(self.labels.max()) + 1

    def everything(self) -> Tensor:
        """All training samples, labelled ones first, shape (N_l + N_u, ...)."""
        return torch.cat([self.inputs, self.unlabelled]) if len(self.unlabelled) else self.inputs

    def with_all_labels(self) -> "Splits":
        """Give the same data with every label known, for the baseline "all labels"."""
        if self.hidden is None:
            return Splits(self.inputs, self.labels)
        return Splits(self.everything(), torch.cat([self.labels, self.hidden]))


def shuffled(count: int, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Draw batches of indices for ever, every sample once before any comes again.

    Parameters
    ----------
    count : int
        Number of samples.
    size : int
        Samples a batch; a batch may span two passes.
    generator : torch.Generator
        The source of randomness: equal state, equal batches.

    Yields
    ------
    Tensor
        Indices, shape (size,), int64.

    Examples
    --------
    >>> batches = shuffled(3, 3, torch.Generator().manual_seed(0))
    >>> sorted(next(batches).tolist())
    [0, 1, 2]
    """
    rest = torch.empty(0, dtype=torch.int64)
    while True:
        while len(rest) < size:
            rest = torch.cat([rest, torch.randperm(count, generator=generator)])
        yield rest[:size]
        rest = rest[size:]


class Task(Protocol):
    """One learning problem over several domains. Derive from it: what has a body here is a default.

    Attributes
    ----------
    metric : str
        The metric of `evaluate` by which models are compared, in percent, larger is better.
    layers : sequence of str
        Names of the submodules worth reusing (H' of Eq. 1): their outputs are reconstructed.
    head : str
        Name of the submodule whose meaning is the domain's own (an identity classifier); it is not copied from a peer.
        Empty when labels mean the same in every domain.
    kind : {"classification", "retrieval"}, default "classification"
        Whether all classes are known, or unlabelled samples may show others: then a committee may make new classes of
        them, which `loss` must take (as numbers from the head's number of classes on).
    embedding : str
        Name of the submodule whose output tells samples apart, a vector each; the last of `layers` if empty.
    views : sequence of callables
        Other views of prepared inputs, such as their mirror images, over which embeddings are averaged.
    """

    metric: str
    layers: Sequence[str]
    head: str = ""
    kind: Kind = "classification"
    embedding: str = ""
    views: Sequence[Callable[[Tensor], Tensor]] = ()

    def splits(self, domain: str) -> Splits:
        """Read the training data of a domain; `BadArgument` names what is missing and where."""
        ...

    def model(self, domain: str, classes: int) -> nn.Module:
        """Make a new model for a domain, its weights drawn from torch's global generator."""
        ...

    def loss(self, output: Any, labels: Tensor) -> Tensor:
        """Compute the supervised loss L of Eq. 1: a scalar, from the model's output on a batch and its labels (B,)."""
        ...

    def evaluate(self, model: nn.Module, domain: str, *, split: Split = "test") -> Mapping[str, float]:
        """Measure a model (in evaluation mode) on a domain: metrics by name, `metric` among them."""
        ...

    def prepare(self, inputs: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Make the model's input of stored samples; with a generator, augmented for training."""
        return inputs

    def batches(self, labels: Tensor, size: int, generator: torch.Generator) -> Iterable[Tensor]:
        """Draw batches of labelled indices for ever; by default every sample once before any comes again."""
        return shuffled(len(labels), size, generator)

    def showcase(self, model: nn.Module, domain: str) -> list[dict[str, Any]]:
        """Give a few examples of what the model does, ready for JSON, for the run's page; none by default."""
        return []
