"""What a method gets: the target, its data, the sources' models, and one budget of steps."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

from torch import Tensor, nn

from fedretina.errors import BadArgument
from fedretina.features import shapes
from fedretina.study.setting import Setting
from fedretina.study.store import Arrays, Numbers, Store
from fedretina.task import Splits, Task
from fedretina.train import (
    Batches,
    DomainBatches,
    Learner,
    Peers,
    Span,
    SupervisedLoss,
    Term,
    Training,
    adapt_peers,
    arrays_of,
    device,
    seeded_model,
    start_from,
    steps_per_epoch,
)

OnProgress = Callable[[str, int, int], None]
Tasks = Callable[[Setting], Task]


class Student:
    """The target of one cell.

    Parameters
    ----------
    setting : Setting
        What is measured.
    tasks : callable
        Makes the task of a setting.
    store : Store
        Keeps the sources' models, each trained once.
    on_progress : callable
        Called with the name of what trains, its finished epochs, and epochs in total.
    where : {"auto", "cpu", "cuda"}, default "auto"
        Where to compute.
    """

    def __init__(
        self, setting: Setting, tasks: Tasks, store: Store, on_progress: OnProgress, *, where: str = "auto"
    ) -> None:
        self.setting, self.store, self.on_progress = setting, store, on_progress
        self.training: Training = setting.training(where)
        self.task = tasks(setting)
        self.device = device(self.training)
        self.numbers: Numbers = {}

    @cached_property
    def splits(self) -> Splits:
        """The target's data."""
        return self.task.splits(self.setting.target)

    @cached_property
    def labelled(self) -> Splits:
        """The target's labelled samples alone: what methods learn from that use no others."""
        return Splits(self.splits.inputs, self.splits.labels)

    @property
    def samples(self) -> int:
        """Size of the target's training data, which its epochs are counted by, whatever part of them a method uses."""
        return len(self.splits.everything())

    @property
    def steps(self) -> int:
        """Steps that every method's target takes."""
        return self.training.epochs * steps_per_epoch(self.samples, self.training)

    @cached_property
    def peers(self) -> Peers:
        """The sources' models, adapted to the target and measured on its labelled samples."""
        weights = {name: self._source(name) for name in self.setting.sources}
        peers = adapt_peers(weights, self.task, self.splits, self.setting.target)
        for model in peers.models.values():
            model.to(self.device)
        return peers

    @property
    def best(self) -> str:
        """The source that is best on the target's labelled samples."""
        found = self.peers.best(self.fresh(), self.task.head)
        if found is None:
            raise BadArgument(f"no source of {self.setting.target!r} has its kind of model: there is none to start from")
        return found

    @property
    def layer(self) -> str:
        """The layer whose output is the embedding."""
        return embedding_layer(self.task)

    @property
    def example(self) -> Tensor:
        """Two prepared inputs, to see shapes by."""
        return self.task.prepare(self.splits.inputs[:2])

    def width(self, model: nn.Module) -> int:
        """Count the features of a model's embedding; `BadArgument` if it is no vector."""
        model = model.to(self.device)
        shape = shapes(model, [self.layer], self.example.to(self.device))[self.layer]
        if len(shape) != 1:
            raise BadArgument(f"the layer {self.layer!r} gives {tuple(shape)} a sample: this method takes vectors")
        return shape[0]

    def fresh(self, name: str = "target", *, classes: int | None = None) -> nn.Module:
        """Make the target's network with new weights: the same at every call of one name."""
        return seeded_model(self.task, self.setting.target, classes or self.splits.classes, self.training, name)

    def started(self) -> nn.Module:
        """Make the target's network, started from the best source."""
        model = self.fresh()
        start_from(model, self.peers.models[self.best], self.task.head)
        return model

    def fit(
        self,
        model: nn.Module,
        *,
        splits: Splits | None = None,
        batches: Batches | None = None,
        terms: Sequence[Term] = (),
    ) -> nn.Module:
        """Train a model for the whole budget; its last state counts.

        Parameters
        ----------
        model : Module
            Changed in place.
        splits : Splits, optional
            The data; default: the target's.
        batches : Batches, optional
            The samples; default: the labelled samples of `splits`, and beside terms as many unlabelled ones in every batch.
        terms : sequence of Term
            Terms beside the supervised loss.
        """
        name, data = f"{self.setting.target}/{self.setting.method}", splits or self.splits
        batches = batches or DomainBatches(self.task, data, self.training.batch_size, unlabelled=bool(terms))
        terms = [SupervisedLoss(self.task), *terms]
        learner = Learner(model, self.task, self.training, name=name, batches=batches, terms=terms)
        self._train(learner, self.training.epochs, self.samples, self.setting.method)
        return model

    def score(self, model: nn.Module) -> Numbers:
        """Measure a model on the target's test."""
        return {key: float(value) for key, value in self.task.evaluate(model.cpu().eval(), self.setting.target).items()}

    def _source(self, name: str) -> Arrays:
        """Give a source's own model, on all its labels; trained once for all targets and methods."""
        key = f"{name}-{self.setting.source_key(name)}"
        kept = self.store.arrays(key)
        if kept is None:
            splits = self.task.splits(name)
            model = seeded_model(self.task, name, splits.classes, self.training, "source")
            batches = DomainBatches(self.task, splits, self.training.batch_size)
            learner = Learner(model, self.task, self.training, name=f"{name}/source", batches=batches)
            self._train(learner, self.training.home_epochs, len(splits.labels), name)
            kept = arrays_of(model)
            self.store.keep_arrays(key, kept)
        return kept

    def _train(self, learner: Learner, epochs: int, samples: int, what: str) -> None:
        def on_epoch(epoch: int, total: int, loss: float, speed: float) -> None:
            del loss, speed
            self.on_progress(what, epoch, total)

        learner.train(Span(0, epochs, epochs), samples, on_epoch)


def embedding_layer(task: Task) -> str:
    """Name the layer whose output is the embedding."""
    return task.embedding or list(task.layers)[-1]


def logits(output: object) -> Tensor:
    """Take the class scores out of a model's output: itself, or its `logits`; parts are averaged. Shape (N, classes).

    Examples
    --------
    >>> import torch
    >>> logits(torch.zeros(2, 5)).shape
    torch.Size([2, 5])
    """
    scores = getattr(output, "logits", output)
    if not isinstance(scores, Tensor):
        raise BadArgument(f"a model gave a {type(output).__name__}: this method needs class scores, a tensor or `.logits`")
    return scores.mean(1) if scores.ndim == 3 else scores


def frozen(models: Mapping[str, nn.Module]) -> list[nn.Module]:
    """List models by name, in evaluation mode, without gradients."""
    return [models[name].requires_grad_(False).eval() for name in sorted(models)]
