"""The learner: trains one model on one domain, some epochs at a time, and saves its state between them."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fedretina.atomic import replacing
from fedretina.errors import Corrupt, translate_errors
from fedretina.features import Taps
from fedretina.task import Task
from fedretina.train.batches import Batch, Batches
from fedretina.train.compute import forward_function, to_float32, training_device
from fedretina.train.late_sources import extend_optimizer_state, extend_state, new_sources
from fedretina.train.schedule import EpochRange, learning_rate, steps_per_epoch
from fedretina.train.seeds import derive_seed
from fedretina.train.term import ForwardPass, SupervisedLoss, Term
from fedretina.train.training import Training

WEIGHT_DECAY = 5e-4
OnEpoch = Callable[[int, int, float, float], None]
"""Called after an epoch with its number (from 1), the total number of epochs, the mean loss, and images per second."""


class Learner:
    """One model in training on one domain.

    Parameters
    ----------
    model : Module
        The model in training.
    task : Task
        Prepares inputs and gives the supervised loss.
    training : Training
        Batch size, learning rate, device, precision, seed.
    name : str
        Part of the seed: learners with different names draw different batches.
    batches : Batches
        The samples.
    terms : sequence of Term, optional
        The terms of the loss. Default: the supervised loss alone.

    Examples
    --------
    See `fedretina.train`.
    """

    def __init__(
        self,
        model: nn.Module,
        task: Task,
        training: Training,
        *,
        name: str,
        batches: Batches,
        terms: Sequence[Term] | None = None,
    ) -> None:
        self.model, self.task, self.training, self.name, self.batches = model, task, training, name, batches
        self.terms = list(terms) if terms is not None else [SupervisedLoss(task)]
        self.device, self._run = training_device(training), forward_function(training)
        self._layers = list(dict.fromkeys(layer for term in self.terms for layer in term.layers))
        self._modules = {"model": self.model, **{f"terms.{i}": term.module for i, term in enumerate(self.terms)}}
        for module in self._modules.values():
            module.to(self.device)
        groups = [{"params": list(model.parameters()), "scale": 1.0, "weight_decay": WEIGHT_DECAY}]
        groups += [group for term in self.terms for group in term.parameter_groups()]
        self.optimizer = torch.optim.Adam([group for group in groups if group["params"]], lr=training.lr)

    def train(self, epochs: EpochRange, samples: int, on_epoch: OnEpoch) -> None:
        """Train for some epochs.

        Parameters
        ----------
        epochs : EpochRange
            The epochs. The learning rate follows one cycle over `epochs.total`.
        samples : int
            Size of the domain; it determines the steps of an epoch.
        on_epoch : callable
            Called after each epoch, see `OnEpoch`.
        """
        steps = steps_per_epoch(samples, self.training)
        for epoch in range(epochs.first, epochs.last):
            generator = torch.Generator().manual_seed(derive_seed(self.training.seed, self.name, epoch))
            start, total = time.perf_counter(), 0.0
            self.batches.start_epoch(self.model, epoch)
            batches = self._prepared(generator)
            for step in range(steps):
                total += self._step(next(batches), (epoch + step / steps) / epochs.total)
            seconds = time.perf_counter() - start
            on_epoch(epoch + 1, epochs.total, total / steps, steps * self.training.batch_size / seconds)

    def _prepared(self, generator: torch.Generator) -> Iterator[Batch]:
        for inputs, labels in self.batches.draw(generator):
            yield Batch(self.task.prepare(inputs, generator).to(self.device), labels.to(self.device))

    def _step(self, batch: Batch, progress: float) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = group["scale"] * learning_rate(progress, self.training.lr)
        self.model.train()
        loss = self._loss(batch, progress)
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self.optimizer.step()
        return float(loss.detach())

    def _loss(self, batch: Batch, progress: float) -> Tensor:
        """Sum the terms. Each gets the outputs of the layers that it names."""
        output, z = self._forward(batch.inputs)
        losses = []
        for term in self.terms:
            outputs = {layer: z[layer] for layer in term.layers}
            losses.append(term.loss(ForwardPass(batch.inputs, batch.labels, output, outputs, progress)))
        return reduce(add, [loss for loss in losses if loss is not None])

    def _forward(self, inputs: Tensor) -> tuple[Any, dict[str, Tensor]]:
        """Run the model; return its output, and the outputs of the layers that the terms name."""
        with ExitStack() as stack:
            taps = stack.enter_context(Taps(self.model, self._layers)) if self._layers else None
            output = self._run(self.model, inputs)
            return output, to_float32(taps.collect()) if taps else {}

    def save(self, file: Path) -> None:
        """Save the learner's state, atomically."""
        state = {name: module.state_dict() for name, module in self._modules.items()}
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as temporary:
            torch.save(
                {"modules": state, "optimizer": self.optimizer.state_dict(), "parameters": self._parameters()}, temporary
            )

    def load(self, file: Path) -> tuple[str, ...]:
        """Load a saved state and continue from it. The file may contain tensors and numbers only: no pickled objects.

        Returns
        -------
        tuple of str
            The sources that the saved state does not have. Their V is new, and should be warmed up.

        Raises
        ------
        Corrupt
            The file is damaged, or belongs to another learner.
        """
        found, remedy = f"the checkpoint {file} cannot be used", "delete it, and the training begins with the round before"
        with translate_errors(Corrupt, found, remedy):
            return self._load(torch.load(file, map_location=self.device, weights_only=True))

    def _load(self, saved: Any) -> tuple[str, ...]:
        new = tuple(name for key, module in self._modules.items() for name in new_sources(module, saved["modules"][key]))
        optimizer = saved["optimizer"]
        if new:
            optimizer = extend_optimizer_state(self.optimizer, self._parameters(), optimizer, saved["parameters"])
        self.optimizer.load_state_dict(optimizer)
        for key, module in self._modules.items():
            module.load_state_dict(extend_state(module, saved["modules"][key]))
        return new

    def _parameters(self) -> list[str]:
        """List the names of the parameters in the optimizer's order."""
        names = {p: f"{key}.{name}" for key, module in self._modules.items() for name, p in module.named_parameters()}
        return [names[p] for group in self.optimizer.param_groups for p in group["params"]]
