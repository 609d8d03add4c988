"""Training: one model on one domain, some epochs at a time, with everything it needs to go on kept on the node's disk."""

import hashlib
import math
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fedretina.atomic import replacing
from fedretina.features.modes import evaluating
from fedretina.reuse import ReuseLoss, ReuseObjective, Taps, adapt_batchnorm
from fedretina.strategies.peer_reuse.compute import device, runner, widened
from fedretina.strategies.peer_reuse.newcomers import grown, newcomers, rearranged
from fedretina.strategies.peer_reuse.plan import Plan
from fedretina.strategies.peer_reuse.teaching import Numbers, Teaching
from fedretina.strategies.peer_reuse.term import Step, Term
from fedretina.task import Splits, Task, shuffled

WEIGHT_DECAY = 5e-4
ALPHA_LR = 10  # alpha's learning rate beside the weights': it has few steps and a smooth bound to descend
WARM_UP = 0.2
RAMP = 1 / 6  # of the training, in which the peers' pull grows: a new head must not be pulled at once
Progress = Callable[[int, int, float, float], None]


@dataclass(frozen=True)
class Span:
    """Which part of a learner's training to do now: epochs `first` (from 0) to `last` (excluded), of `total`."""

    first: int
    last: int
    total: int


def steps_per_epoch(samples: int, plan: Plan) -> int:
    """Count the steps of an epoch: a pass over the domain, or over `epoch_samples` of it if it is larger."""
    return max(1, math.ceil(min(samples, plan.epoch_samples or samples) / plan.batch_size))


def learning_rate(done: float, peak: float) -> float:
    """One cycle: up in a straight line, then down along a cosine, at the part `done` (0 to 1) of the training.

    Examples
    --------
    >>> [round(learning_rate(x, 1.0), 3) for x in (0.0, 0.2, 1.0)]
    [0.04, 1.0, 0.0]
    """
    if done < WARM_UP:
        return peak * (0.04 + 0.96 * done / WARM_UP)
    return peak * 0.5 * (1 + math.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP)))


class Reuse:
    """The part of a step that is Eq. 1's second term: frozen peers and the objective that reconstructs them.

    Parameters
    ----------
    peers : mapping of str to Module
        The sources, in evaluation mode.
    objective : ReuseObjective
        V and alpha.
    risks : mapping of str to float
        Measured risk of each source in the target domain (Theorem 1).
    plan : Plan
        Where peers run, and in which precision.
    """

    def __init__(
        self, peers: Mapping[str, nn.Module], objective: ReuseObjective, risks: Mapping[str, float], *, plan: Plan
    ) -> None:
        self.peers, self.objective, self.risks = peers, objective, risks
        self.layers = objective.layers
        self._run = runner(plan)

    def groups(self) -> list[dict[str, Any]]:
        """Give V's parameters and alpha's; V has none where it is set by least squares."""
        alpha = list(self.objective.alpha.parameters())
        v = [p for p in self.objective.v.parameters() if p.requires_grad]
        return [{"params": v, "scale": 1.0}, {"params": alpha, "scale": float(ALPHA_LR)}]

    @torch.no_grad()
    def warm(self, model: nn.Module, inputs: Tensor, *, sources: Collection[str] | None = None) -> None:
        """Set V by least squares on clean inputs: else the target would first be pulled to where V happens to be.

        A new model's BatchNorm has statistics of nothing: V is fitted to what it will see in training. With `sources` only
        their V is set.
        """
        shown = deepcopy(model)
        adapt_batchnorm(shown, [inputs])
        with evaluating(shown), Taps(shown, self.layers) as taps:
            shown(inputs)
            z = taps.collect()
        features = self._features(inputs)
        if sources is None:
            self.objective.fit(z, features)
            return
        for source, layer in product(sources, self.layers):
            self.objective.reconstruction(source, layer).fit(z[layer], features[source][layer])

    def loss(self, step: Step) -> Tensor:
        """Compute the term for a batch; its inputs go through every peer. The pull on the target grows at first."""
        pull = min(1.0, step.done / RAMP)
        # V learns all the same while the target feels little.
        felt = {name: z.detach() + pull * (z - z.detach()) for name, z in step.z.items()} if pull < 1 else step.z
        term: ReuseLoss = self.objective(felt, self._features(step.inputs), risks=self.risks)
        return term.loss

    @torch.no_grad()
    def _features(self, inputs: Tensor) -> dict[str, dict[str, Tensor]]:
        found = {}
        for name, peer in self.peers.items():
            with Taps(peer, self.layers) as taps:
                self._run(peer, inputs)
                found[name] = widened(taps.collect())
        return found


class Learner:
    """One model in training on one domain.

    Parameters
    ----------
    model : Module
        What is trained.
    task : Task
        Gives inputs and loss.
    splits : Splits
        The domain's data.
    plan : Plan
        Batch size, learning rate and the like.
    name : str
        Enters the seed, so that no two learners draw the same batches by accident.
    reuse : Term, optional
        Such as `Reuse`, Eq. 1's second term; with it half of every batch is unlabelled, if the domain has such samples.
    teaching : Teaching, optional
        The committee; with it every batch comes from all samples that have a label or got one.
    """

    def __init__(
        self,
        model: nn.Module,
        task: Task,
        splits: Splits,
        plan: Plan,
        *,
        name: str,
        reuse: Term | None = None,
        teaching: Teaching | None = None,
    ) -> None:
        self.model, self.task, self.splits, self.plan, self.name = model, task, splits, plan, name
        self.reuse, self.teaching, self.taught = reuse, teaching, Numbers()
        self.device, self._run = device(plan), runner(plan)
        self.model.to(self.device)
        groups = [{"params": list(model.parameters()), "scale": 1.0, "weight_decay": WEIGHT_DECAY}]
        if reuse is not None:
            reuse.objective.to(self.device)
            groups += reuse.groups()
        self.optimizer = torch.optim.Adam([group for group in groups if group["params"]], lr=plan.lr)

    def train(self, span: Span, samples: int, progress: Progress) -> None:
        """Train for a span of epochs.

        Parameters
        ----------
        span : Span
            Which epochs; the learning rate follows one cycle over `span.total`.
        samples : int
            Size of the domain: what an epoch is counted by.
        progress : callable
            Gets epoch (from 1), epochs in total, mean loss, images a second; after each epoch.
        """
        steps = steps_per_epoch(samples, self.plan)
        for epoch in range(span.first, span.last):
            generator = torch.Generator().manual_seed(_seed(self.plan.seed, self.name, epoch))
            start, total = time.perf_counter(), 0.0
            if self.teaching is not None:
                self.taught = self.teaching.refresh(self.model, epoch) or self.taught
            batches = self._batches(generator)
            for step in range(steps):
                done = (epoch + step / steps) / span.total
                self._set_rate(done)
                total += self._step(*next(batches), done)
            seconds = time.perf_counter() - start
            progress(epoch + 1, span.total, total / steps, steps * self.plan.batch_size / seconds)

    def _set_rate(self, done: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = group["scale"] * learning_rate(done, self.plan.lr)

    def _batches(self, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Draw batches of inputs and labels, the labelled samples first; the rest has none."""
        size, splits = self.plan.batch_size, self.splits
        if self.teaching is not None:
            for raw, labels in self.teaching.batches(size, generator):
                yield self.task.prepare(raw, generator).to(self.device), labels.to(self.device)
            return
        mixed = self.reuse is not None and len(splits.unlabelled) > 0
        labelled = iter(self.task.batches(splits.labels, size // 2 if mixed else size, generator))
        others = shuffled(len(splits.unlabelled), size - size // 2, generator) if mixed else None
        while True:
            index = next(labelled)
            raw = splits.inputs[index]
            if others is not None:
                raw = torch.cat([raw, splits.unlabelled[next(others)]])
            yield self.task.prepare(raw, generator).to(self.device), splits.labels[index].to(self.device)

    def _step(self, inputs: Tensor, labels: Tensor, done: float) -> float:
        self.model.train()
        if self.reuse is None and self.teaching is None:
            loss = self.task.loss(self._run(self.model, inputs), labels)
        else:
            loss = self._peers_loss(inputs, labels, done)
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self.optimizer.step()
        return float(loss.detach())

    def _peers_loss(self, inputs: Tensor, labels: Tensor, done: float) -> Tensor:
        """Sum the supervised loss and what the peers add to it."""
        output, z = self._tapped(inputs)
        loss = self.task.loss(first(output, len(labels)), labels)
        if self.reuse is not None:
            seen = {name: z[name] for name in self.reuse.layers}
            loss = loss + self.reuse.loss(Step(inputs, labels, output, seen, done))
        if self.teaching is not None and (contrast := self.teaching.loss(z[self.teaching.layer], labels)) is not None:
            loss = loss + contrast
        return loss

    def _tapped(self, inputs: Tensor) -> tuple[Any, dict[str, Tensor]]:
        """Run the model, and read the layers that its terms want to see."""
        layers = [*self.reuse.layers] if self.reuse is not None else []
        layers += [self.teaching.layer] if self.teaching is not None else []
        with ExitStack() as stack:
            taps = stack.enter_context(Taps(self.model, list(dict.fromkeys(layers)))) if layers else None
            output = self._run(self.model, inputs)
            return output, widened(taps.collect()) if taps else {}

    def save(self, file: Path) -> None:
        """Keep the learner's state, atomically."""
        objective = self.reuse.objective.state_dict() if self.reuse is not None else {}
        state = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "objective": objective}
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as fresh:
            torch.save({**state, "parameters": self._parameters()}, fresh)

    def load(self, file: Path) -> tuple[str, ...]:
        """Go on from a kept state. No pickle: tensors and numbers only.

        Returns
        -------
        tuple of str
            The sources that are new since: what belongs to them is as it was made, and V wants to be warmed.
        """
        state = torch.load(file, map_location=self.device, weights_only=True)
        self.model.load_state_dict(state["model"])
        new = newcomers(self.reuse.objective, state["objective"]) if self.reuse is not None else ()
        optimizer = state["optimizer"]
        if new:
            optimizer = rearranged(self.optimizer, self._parameters(), optimizer, state["parameters"])
        self.optimizer.load_state_dict(optimizer)
        if self.reuse is not None:
            self.reuse.objective.load_state_dict(grown(self.reuse.objective, state["objective"]))
        return new

    def _parameters(self) -> list[str]:
        """Name what is trained, in the optimizer's order."""
        modules = {"model": self.model} | ({"objective": self.reuse.objective} if self.reuse is not None else {})
        names = {p: f"{key}.{name}" for key, module in modules.items() for name, p in module.named_parameters()}
        return [names[p] for group in self.optimizer.param_groups for p in group["params"]]


def first(output: object, count: int) -> object:
    """Cut a model's output down to its first samples: a tensor, or a tuple of them.

    Examples
    --------
    >>> first((torch.zeros(4, 2), torch.ones(4)), 2)[1]
    tensor([1., 1.])
    """
    if isinstance(output, Tensor):
        return output[:count]
    if isinstance(output, tuple):
        parts = tuple(first(part, count) for part in output)
        return output._make(parts) if hasattr(output, "_make") else parts
    raise TypeError(f"a model's output must be a tensor or a tuple of tensors, not {type(output).__name__}")


def _seed(seed: int, name: str, epoch: int) -> int:
    """Mix a seed, stable between processes (``hash`` of a text is not)."""
    digest = hashlib.blake2b(f"{seed}/{name}/{epoch}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) % 2**63


def seeded_model(task: Task, domain: str, classes: int, plan: Plan, name: str) -> nn.Module:
    """Make a model whose weights follow from the seed, the domain and the learner's name."""
    with seeded(plan, f"{domain}/{name}"):
        return task.model(domain, classes)


@contextmanager
def seeded(plan: Plan, name: str) -> Iterator[None]:
    """Let torch's global generator follow from the seed and a name, for as long as something is made."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_seed(plan.seed, name, 0))
        yield
