"""A small GPT learns the sources of Python's standard library, or its documentation by LoRA adapters."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from safetensors.numpy import load_file, save_file
from torch import Tensor, nn

from fedretina import home
from fedretina.atomic import replacing
from fedretina.study.tasks.corpus import VOCABULARY, Share, batches, documentation, shares
from fedretina.study.tasks.federated import Model, NetworkTask, arrays, drawn_from, load
from fedretina.study.tasks.transformers import Gpt, add_adapters

LENGTH, BATCH = 64, 4
_JUDGED = 16  # batches of held-out text for each client
_WARMUP = 400


@dataclass(frozen=True, kw_only=True)
class Text(NetworkTask):
    """A GPT from scratch; the loss in nats on text that was held out from every client. Its text is Python's own sources.

    Parameters
    ----------
    clients : int, default 4
        The files of the standard library are dealt to them.
    width, depth : int, default 64, 2
        Of the network: 0.24 million parameters by default, 1.1 million at 128 and 4, 5 million at 256 and 6.
    """

    clients: int = 4
    width: int = 64
    depth: int = 2
    metric = "validation loss"
    lower_is_better = True
    lr = 2e-3

    def build(self) -> nn.Module:
        """Return a fresh network."""
        return Gpt(width=self.width, depth=self.depth, vocabulary=VOCABULARY, length=LENGTH)

    def texts(self) -> tuple[Share, ...]:
        """Return the text of each client."""
        return shares(self.clients)[: self.clients]

    def losses(self, network: nn.Module, client: int, *, steps: int, seed: int) -> Iterator[Tensor]:
        """Draw sequences of the client's text."""
        for batch in batches(self.texts()[client].training, count=steps, size=BATCH, length=LENGTH, seed=seed):
            yield network.loss(batch)  # type: ignore[operator]  # of Gpt

    def score(self, network: nn.Module) -> float:
        """Compute the mean loss on held-out text."""
        drawn = [
            batch
            for number, text in enumerate(self.texts())
            for batch in batches(text.held_out, count=_JUDGED, size=BATCH, length=LENGTH, seed=number)
        ]
        return float(torch.stack([network.loss(batch) for batch in drawn]).mean())  # type: ignore[operator]


@dataclass(frozen=True, kw_only=True)
class Adapters(Text):
    """LoRA adapters of a GPT that has learned Python learn its documentation; only the adapters travel."""

    lr = 2e-3

    def texts(self) -> tuple[Share, ...]:
        """Return the part of the documentation that each client has."""
        return documentation(self.clients)

    def build(self) -> nn.Module:
        """Return the base with fresh adapters: A by chance, B zero."""
        return add_adapters(load(super().build(), base(self.width, self.depth)))


@cache
def base(width: int, depth: int) -> Model:
    """Return a GPT that is trained on the sources; it is made once, and kept in FEDRETINA_HOME."""
    file = home.studies() / "bases" / f"gpt-{width}-{depth}-{_WARMUP}.safetensors"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as fresh:
            save_file(_trained(Text(width=width, depth=depth)), fresh)
    found: Model = load_file(file)
    return found


def _trained(task: Text) -> dict[str, Any]:
    everything = torch.cat([text.training for text in task.texts()])
    with drawn_from(0):
        network = task.build()
    optimiser = torch.optim.AdamW(network.parameters(), task.lr, weight_decay=task.decay)
    for batch in batches(everything, count=_WARMUP, size=BATCH, length=LENGTH, seed=0):
        optimiser.zero_grad()
        network.loss(batch).backward()  # type: ignore[operator]  # of Gpt
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
    return dict(arrays(network))
