"""The student: the target of one cell, with its data, the sources' models, and its budget of steps."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

from torch import Tensor, nn

from fedretina.errors import BadArgument
from fedretina.features import layer_shapes
from fedretina.study.setting import Setting
from fedretina.study.store import Arrays, Metrics, Store
from fedretina.task import Splits, Task
from fedretina.train import (
    Batches,
    DomainBatches,
    EpochRange,
    Learner,
    Peers,
    SupervisedLoss,
    Term,
    Training,
    adapt_peers,
    model_arrays,
    seeded_model,
    start_from,
    steps_per_epoch,
    training_device,
)

OnProgress = Callable[[str, int, int], None]
Tasks = Callable[[Setting], Task]


class Student:
    """The target of one cell. Every method trains it for the same number of steps.

    Parameters
    ----------
    setting : Setting
        The setting of the cell.
    tasks : callable
        Makes the task of a setting.
    store : Store
        Stores the sources' models, each trained once.
    on_progress : callable
        Called with the name of the model in training, its finished epochs, and its epochs in total.
    device : {"auto", "cpu", "cuda"}, default "auto"
        Device of the training.

    Attributes
    ----------
    metrics : dict of str to float
        Metrics that the method adds to the result.
    """

    def __init__(
        self, setting: Setting, tasks: Tasks, store: Store, on_progress: OnProgress, *, device: str = "auto"
    ) -> None:
        self.setting, self.store, self.on_progress = setting, store, on_progress
        self.training: Training = setting.training(device)
        self.task = tasks(setting)
        self.device = training_device(self.training)
        self.metrics: Metrics = {}

    @cached_property
    def splits(self) -> Splits:
        """The target's data."""
        return self.task.splits(self.setting.target)

    @cached_property
    def labelled(self) -> Splits:
        """The target's labelled samples alone, for methods that use no unlabelled ones."""
        return Splits(self.splits.inputs, self.splits.labels)

    @property
    def samples(self) -> int:
        """Number of the target's training samples. It determines the steps of an epoch, whichever samples a method uses."""
        return len(self.splits.everything())

    @property
    def steps(self) -> int:
        """Training steps of the target, equal for every method."""
        return self.training.epochs * steps_per_epoch(self.samples, self.training)

    @cached_property
    def peers(self) -> Peers:
        """The sources' models, adapted to the target and measured on its labelled samples."""
        weights = {name: self.home_model(name) for name in self.setting.sources}
        peers = adapt_peers(weights, self.task, self.splits, self.setting.target)
        for model in peers.models.values():
            model.to(self.device)
        return peers

    @property
    def best_source(self) -> str:
        """The compatible source with the highest score on the target's labelled samples."""
        found = self.peers.best(self.new_model(), self.task.head)
        if found is None:
            raise BadArgument(
                f"no source has the architecture of the target {self.setting.target!r}: give one, or start from scratch"
            )
        return found

    @property
    def layer(self) -> str:
        """The layer whose output is the embedding."""
        return embedding_layer(self.task)

    @property
    def example(self) -> Tensor:
        """Two prepared inputs, from which the shapes of features are found."""
        return self.task.prepare(self.splits.inputs[:2])

    def embedding_width(self, model: nn.Module) -> int:
        """Count the features of a model's embedding; `BadArgument` if it is not a vector."""
        model = model.to(self.device)
        shape = layer_shapes(model, [self.layer], self.example.to(self.device))[self.layer]
        if len(shape) != 1:
            raise BadArgument(
                f"the layer {self.layer!r} gives {tuple(shape)} per sample: this method needs a layer that gives vectors"
            )
        return shape[0]

    def new_model(self, name: str = "target", *, classes: int | None = None) -> nn.Module:
        """Make the target's network with new weights; equal names give equal weights."""
        return seeded_model(self.task, self.setting.target, classes or self.splits.classes, self.training, name)

    def model_from_best(self) -> nn.Module:
        """Make the target's network with the weights of the best source."""
        return self.model_from(self.best_source)

    def model_from(self, source: str) -> nn.Module:
        """Make the target's network with the weights of a source."""
        model = self.new_model()
        start_from(model, self.peers.models[source], self.task.head)
        return model

    def fit(
        self,
        model: nn.Module,
        *,
        splits: Splits | None = None,
        batches: Batches | None = None,
        terms: Sequence[Term] = (),
    ) -> nn.Module:
        """Train a model for all steps; its last state is the result.

        Parameters
        ----------
        model : Module
            The model; it is changed in place.
        splits : Splits, optional
            The data. Default: the target's.
        batches : Batches, optional
            The batches. Default: the labelled samples of `splits`; if there are terms, half of each batch is unlabelled.
        terms : sequence of Term
            Further terms of the loss, in addition to the supervised loss.
        """
        name, data = f"{self.setting.target}/{self.setting.method}", splits or self.splits
        batches = batches or DomainBatches(self.task, data, self.training.batch_size, unlabelled=bool(terms))
        terms = [SupervisedLoss(self.task), *terms]
        learner = Learner(model, self.task, self.training, name=name, batches=batches, terms=terms)
        self._train(learner, self.training.epochs, self.samples, self.setting.method)
        return model

    def score(self, model: nn.Module) -> Metrics:
        """Measure a model on the target's test split."""
        return {key: float(value) for key, value in self.task.evaluate(model.cpu().eval(), self.setting.target).items()}

    def home_model(self, name: str) -> Arrays:
        """Give a source's own model, trained on all its labels, once for all targets and methods."""
        key = f"{name}-{self.setting.source_key(name)}"
        arrays = self.store.load_model(key)
        if arrays is None:
            splits = self.task.splits(name)
            model = seeded_model(self.task, name, splits.classes, self.training, "source")
            batches = DomainBatches(self.task, splits, self.training.batch_size)
            learner = Learner(model, self.task, self.training, name=f"{name}/source", batches=batches)
            self._train(learner, self.training.home_epochs, len(splits.labels), name)
            arrays = model_arrays(model)
            self.store.save_model(key, arrays)
        return arrays

    def _train(self, learner: Learner, epochs: int, samples: int, name: str) -> None:
        def on_epoch(epoch: int, total: int, loss: float, speed: float) -> None:
            del loss, speed
            self.on_progress(name, epoch, total)

        learner.train(EpochRange(0, epochs, epochs), samples, on_epoch)


def embedding_layer(task: Task) -> str:
    """Name the layer whose output is the embedding."""
    return task.embedding or list(task.layers)[-1]


def freeze(models: Mapping[str, nn.Module]) -> list[nn.Module]:
    """Freeze models, put them into eval mode, and list them in the order of their names."""
    return [models[name].requires_grad_(False).eval() for name in sorted(models)]
