"""Any `fedretina.task.Task` as a federation: each domain is a client; classifiers and BatchNorm's statistics stay at home.

The statistics stay as in SiloBN (Andreux et al., 2020): they are no sum of gradients, and codecs that are right only in the
mean make variances negative.
"""

import math
from collections.abc import Iterator, Sequence
from statistics import fmean

import torch
from torch import Tensor, nn

from fedretina.errors import BadArgument
from fedretina.study.tasks.federated import FederatedTask, Model, drawn_from, load
from fedretina.task import Task

BATCH = 32


class DomainsTask(FederatedTask):
    """Federated averaging over the domains of a task; the score is the mean of the task's metric over them.

    Parameters
    ----------
    task : Task
        The user's problem. Its `head` is not sent: each domain has its own.
    domains : sequence of str
        One client each.
    lr : float, default 1e-3
        Learning rate of AdamW, which is fresh each round.

    Raises
    ------
    BadArgument
        If there is no domain.
    """

    def __init__(self, task: Task, domains: Sequence[str], *, lr: float = 1e-3) -> None:
        if not domains:
            raise BadArgument("the task has no domains to train on: name them with --domains, separated by commas")
        self.task, self.domains, self.lr = task, tuple(domains), lr
        self._splits = {domain: task.splits(domain) for domain in self.domains}
        self._networks: list[nn.Module] = []

    @property
    def metric(self) -> str:  # type: ignore[override]  # the task's own
        """The task's metric."""
        return self.task.metric

    @property
    def clients(self) -> int:
        """Number of domains."""
        return len(self.domains)

    def first_model(self, seed: int) -> Model:
        """Draw a network for each domain, and return what they share of the first."""
        with drawn_from(seed):
            self._networks = [self.task.model(domain, self._splits[domain].classes) for domain in self.domains]
        return self._shared(self._networks[0])

    def train(self, model: Model, client: int, *, steps: int, seed: int) -> Model:
        """Train a domain's network, which keeps its own head from round to round."""
        network = load(self._networks[client], model)
        network.train()
        optimiser = torch.optim.AdamW(network.parameters(), self.lr)
        with drawn_from(seed):
            for loss in self._losses(network, self.domains[client], steps, seed):
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]  # torch has no type for it
                optimiser.step()
        return self._shared(network)

    def measure(self, model: Model) -> float:
        """Measure every domain's network with the shared arrays."""
        return fmean(self._measure(load(network, model), domain) for network, domain in self._pairs())

    def _pairs(self) -> Iterator[tuple[nn.Module, str]]:
        return zip(self._networks, self.domains, strict=True)

    def _measure(self, network: nn.Module, domain: str) -> float:
        if not all(bool(torch.isfinite(tensor).all()) for tensor in network.state_dict().values()):
            return math.nan
        network.eval()
        with torch.no_grad():
            return self.task.evaluate(network, domain)[self.task.metric]

    def _losses(self, network: nn.Module, domain: str, steps: int, seed: int) -> Iterator[Tensor]:
        splits, generator = self._splits[domain], torch.Generator().manual_seed(seed)
        batches = self.task.batches(splits.labels, min(BATCH, len(splits.labels)), generator)
        for index, _ in zip(batches, range(steps), strict=False):
            inputs = self.task.prepare(splits.inputs[index], generator)
            yield self.task.loss(network(inputs), splits.labels[index])

    def _shared(self, network: nn.Module) -> Model:
        own = f"{self.task.head}."
        trained = {name: p.detach().numpy().copy() for name, p in network.named_parameters() if p.requires_grad}
        return {name: values for name, values in trained.items() if not (self.task.head and name.startswith(own))}
