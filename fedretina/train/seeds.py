"""Seeds: every random choice in a training follows from the run's seed and a name."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from fedretina.task import Task
from fedretina.train.training import Training


def derive_seed(seed: int, name: str, epoch: int) -> int:
    """Derive a seed from the run's seed, a name and an epoch. It is the same in every process (``hash`` is not).

    Examples
    --------
    >>> derive_seed(0, "duke/reuse", 1) == derive_seed(0, "duke/reuse", 1) != derive_seed(0, "duke/reuse", 2)
    True
    """
    digest = hashlib.blake2b(f"{seed}/{name}/{epoch}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) % 2**63


@contextmanager
def seeded(training: Training, name: str) -> Iterator[None]:
    """Seed torch's global generator from the run's seed and a name inside the block; restore its state at the end."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(training.seed, name, 0))
        yield


def seeded_model(task: Task, domain: str, classes: int, training: Training, name: str) -> nn.Module:
    """Make a model whose initial weights follow from the run's seed, the domain and the learner's name."""
    with seeded(training, f"{domain}/{name}"):
        return task.model(domain, classes)
