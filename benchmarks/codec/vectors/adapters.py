"""LoRA adapters of the GPT learn the documentation: from zero, and a second round from there."""

from pathlib import Path

import torch
from torch import Tensor

from codec.vectors.files import State, made_once
from codec.vectors.language import Size, base, train
from fedretina.study.tasks import DOCUMENTATION, Gpt, add_adapters, shares

STEPS, LR = 40, 1e-3


def adapters(size: Size, folder: Path, rounds: int) -> dict[str, Tensor]:
    """Return the adapters after so many rounds: at 0 they are as drawn, A by chance and B zero."""

    def make() -> State:
        model = with_adapters(size, folder)
        if rounds:
            model.load_state_dict(adapters(size, folder, rounds - 1), strict=False)
            train(model, shares()[DOCUMENTATION].training, steps=STEPS, lr=LR, seed=10 + rounds)
        return {name: values for name, values in model.named_parameters() if values.requires_grad}

    return made_once(folder / size.name / f"adapters-{rounds}.safetensors", make)


def with_adapters(size: Size, folder: Path) -> Gpt:
    """Return the base with fresh adapters, the same ones each time."""
    model = size.load(base(size, folder))
    torch.manual_seed(1)
    add_adapters(model)
    return model
