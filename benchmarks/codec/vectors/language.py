"""A GPT learns Python: a base that is trained a little, then rounds of local steps with a fresh AdamW."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from codec.vectors.files import State, made_once
from fedretina.study.tasks import CLIENTS, VOCABULARY, Gpt, batches, shares

LENGTH, BATCH = 128, 8
WARMUP_LR, LOCAL_LR = 1e-3, 3e-4
_DECAY = 0.01


@dataclass(frozen=True)
class Size:
    """How large a GPT is, and how many steps lead to its base."""

    name: str
    width: int
    depth: int
    warmup: int

    def build(self) -> Gpt:
        """Return a fresh network, drawn from torch's global generator."""
        return Gpt(width=self.width, depth=self.depth, vocabulary=VOCABULARY, length=LENGTH)

    def load(self, state: State) -> Gpt:
        """Return the network with these weights."""
        model = self.build()
        model.load_state_dict(dict(state))
        return model


TINY = Size("gpt-tiny", width=64, depth=2, warmup=40)
SMALL = Size("gpt1m", width=128, depth=4, warmup=300)
LARGE = Size("gpt5m", width=256, depth=6, warmup=150)


def base(size: Size, folder: Path) -> dict[str, Tensor]:
    """Return the base: trained on the shares of all clients."""

    def make() -> State:
        torch.manual_seed(0)
        model = size.build()
        train(model, torch.cat([share.training for share in shares()[:CLIENTS]]), steps=size.warmup, lr=WARMUP_LR, seed=0)
        return model.state_dict()

    return made_once(folder / size.name / "base.safetensors", make)


def client(size: Size, folder: Path, number: int, steps: int) -> dict[str, Tensor]:
    """Return what a client makes of the base in so many local steps on its own share."""

    def make() -> State:
        model = size.load(base(size, folder))
        train(model, shares()[number].training, steps=steps, lr=LOCAL_LR, seed=1 + number)
        return model.state_dict()

    return made_once(folder / size.name / f"client-{number}-{steps}.safetensors", make)


def mean(states: Sequence[State]) -> dict[str, Tensor]:
    """Return the mean of models, as FedAvg has it."""
    return {name: torch.stack([state[name] for state in states]).mean(0) for name in states[0]}


def train(model: nn.Module, tokens: Tensor, *, steps: int, lr: float, seed: int) -> None:
    """Train what of a GPT requires gradients, with a fresh AdamW."""
    model.train()
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr, weight_decay=_DECAY)
    for batch in batches(tokens, count=steps, size=BATCH, length=LENGTH, seed=seed):
        optimiser.zero_grad()
        model.loss(batch).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
