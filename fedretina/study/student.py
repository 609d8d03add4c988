"""What a method gets: the target, its data, the sources' models, and one budget of steps."""

from collections.abc import Callable, Mapping
from functools import cached_property

from torch import Tensor, nn

from fedretina.errors import BadArgument
from fedretina.features.taps import shapes
from fedretina.strategies.peer_reuse.compute import device
from fedretina.strategies.peer_reuse.learner import Learner, Span, seeded_model, steps_per_epoch
from fedretina.strategies.peer_reuse.peers import Peers, arrays_of, meet, start_from
from fedretina.strategies.peer_reuse.teaching import Teaching
from fedretina.strategies.peer_reuse.term import Term
from fedretina.study.setting import Setting
from fedretina.study.store import Arrays, Numbers, Store
from fedretina.task import Splits, Task

Tick = Callable[[str, int, int], None]
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
    tick : callable
        Told what trains, how many of its epochs are done, and of how many.
    where : {"auto", "cpu", "cuda"}, default "auto"
        Where to compute.
    """

    def __init__(self, setting: Setting, tasks: Tasks, store: Store, tick: Tick, *, where: str = "auto") -> None:
        self.setting, self.store, self.tick = setting, store, tick
        self.plan, self.task = setting.plan(where), tasks(setting)
        self.device = device(self.plan)
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
        return self.plan.local_epochs * steps_per_epoch(self.samples, self.plan)

    @cached_property
    def peers(self) -> Peers:
        """The sources' models, adapted to the target and measured on its labelled samples."""
        weights = {name: self._source(name) for name in self.setting.sources}
        peers = meet(weights, self.task, self.splits, self.plan)
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
        return self.task.embedding or list(self.task.layers)[-1]

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
        return seeded_model(self.task, self.setting.target, classes or self.splits.classes, self.plan, name)

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
        reuse: Term | None = None,
        teaching: Teaching | None = None,
    ) -> nn.Module:
        """Train a model for the whole budget, on the target's data unless others are given; its last state counts."""
        data, name = splits or self.splits, f"{self.setting.target}/{self.setting.method}"
        learner = Learner(model, self.task, data, self.plan, name=name, reuse=reuse, teaching=teaching)
        self._train(learner, self.plan.local_epochs, self.samples, self.setting.method)
        self.numbers |= {f"committee.{key}": value for key, value in learner.taught.items()}
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
            model = seeded_model(self.task, name, splits.classes, self.plan, "source")
            learner = Learner(model, self.task, splits, self.plan, name=f"{name}/source")
            self._train(learner, self.plan.home_epochs, len(splits.labels), name)
            kept = arrays_of(model)
            self.store.keep_arrays(key, kept)
        return kept

    def _train(self, learner: Learner, epochs: int, samples: int, what: str) -> None:
        def progress(epoch: int, total: int, loss: float, speed: float) -> None:
            del loss, speed
            self.tick(what, epoch, total)

        learner.train(Span(0, epochs, epochs), samples, progress)


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
