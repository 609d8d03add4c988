"""Error feedback: a network that learns from updates of a few tenths of a bit per weight, with and without it.

A server's model is trained on by one client a round; the client's update comes back as a one-shot payload of a given budget.
"""

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from codec.update import Model
from fedretina.dom import DomConfig, Version, publish

ROUNDS, STEPS, BATCH, LR = 30, 8, 32, 0.02
TRAINED = 1200
BUDGETS = (0.1, 0.3)


@dataclass(frozen=True)
class Learnt:
    """How a run went: bits per weight and update (32: not coded), feedback or not, the accuracy (%) and loss at its end."""

    bpw: float
    feedback: bool
    accuracy: float
    loss: float


def learn(*, rounds: int = ROUNDS) -> list[Learnt]:
    """Train with full updates, and with each budget with and without feedback."""
    digits = _Digits.load()
    runs = [(32.0, False), *((bits, feedback) for bits in BUDGETS for feedback in (False, True))]
    return [_run(digits, bits, feedback=feedback, rounds=rounds) for bits, feedback in runs]


@dataclass(frozen=True)
class _Digits:
    images: Tensor
    labels: Tensor

    @classmethod
    def load(cls) -> "_Digits":
        images, labels = load_digits(return_X_y=True)
        order = np.random.default_rng(0).permutation(len(labels))
        return cls(torch.tensor(images[order] / 16, dtype=torch.float32), torch.tensor(labels[order]))


def _run(digits: _Digits, bits: float, *, feedback: bool, rounds: int) -> Learnt:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))
    weights = sum(parameter.numel() for parameter in model.parameters())
    config = DomConfig(budget_bytes=int(bits * weights / 8))
    held, residual = Version.of(_state(model)), None
    generator = torch.Generator().manual_seed(0)
    for _ in range(rounds):
        _train(model, digits, generator)
        if bits < 32:
            made = publish(_state(model), base=held, config=config, residual=residual)
            held, residual = made.version, made.residual if feedback else None
            model.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in held.model.items()})
    return Learnt(bits, feedback, *_score(model, digits))


def _train(model: nn.Module, digits: _Digits, generator: torch.Generator) -> None:
    optimiser = torch.optim.SGD(model.parameters(), LR, momentum=0.9)
    for _ in range(STEPS):
        at = torch.randint(TRAINED, (BATCH,), generator=generator)
        loss = nn.functional.cross_entropy(model(digits.images[at]), digits.labels[at])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


@torch.no_grad()
def _score(model: nn.Module, digits: _Digits) -> tuple[float, float]:
    logits = model(digits.images)
    loss = nn.functional.cross_entropy(logits[:TRAINED], digits.labels[:TRAINED])
    right = logits[TRAINED:].argmax(1) == digits.labels[TRAINED:]
    return 100 * float(right.float().mean()), float(loss)


def _state(model: nn.Module) -> Model:
    return {name: tensor.detach().numpy().copy() for name, tensor in model.state_dict().items()}
