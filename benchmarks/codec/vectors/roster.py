"""All vectors by name: how each is made, and how it is judged."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from codec.pictures import load
from codec.update import Model, Update
from codec.vectors import images, vision
from codec.vectors.adapters import adapters, with_adapters
from codec.vectors.files import State, write
from codec.vectors.judge import Judge, loss_of
from codec.vectors.language import BATCH, LARGE, LENGTH, TINY, Size, base, client, mean
from fedretina.reid import to_float
from fedretina.study.tasks import CLIENTS, DOCUMENTATION, batches, shares

JUDGED, PICTURES = 8, 256  # batches of held-out text, pictures
Loss = Callable[[Model], float]


@dataclass(frozen=True)
class Vector:
    """What writes base.safetensors and new.safetensors in a folder of that name, unless they are there; the loss of both."""

    write: Callable[[str, Path], None]
    loss: Callable[[Path], Loss]

    @classmethod
    def of(cls, make: Callable[[Path], tuple[State, State]], loss: Callable[[Path], Loss]) -> "Vector":
        """Return the vector of two models that `make` takes from what has been trained in a folder."""

        def write_both(name: str, folder: Path) -> None:
            files = [folder / name / f"{part}.safetensors" for part in ("base", "new")]
            if not all(file.exists() for file in files):
                for file, state in zip(files, make(folder), strict=True):
                    write(state, file)

        return cls(write_both, loss)

    def judge(self, name: str, folder: Path) -> Judge:
        """Return the judge of what `write` wrote."""
        update = Update.read(folder / name)
        return Judge(self.loss(folder), update.base, update.new)


def gpt(size: Size) -> Mapping[str, Vector]:
    """Return the vectors of a GPT of that size."""

    def up(steps: int) -> Vector:
        return Vector.of(lambda folder: (base(size, folder), client(size, folder, 0, steps)), _text_loss(size, 0))

    def down(folder: Path) -> tuple[State, State]:
        return base(size, folder), mean([client(size, folder, number, 40) for number in range(CLIENTS)])

    def half(folder: Path) -> tuple[State, State]:
        return _bf16(base(size, folder)), _bf16(client(size, folder, 0, 40))

    def lora(rounds: int) -> Vector:
        return Vector.of(
            lambda folder: (adapters(size, folder, rounds - 1), adapters(size, folder, rounds)),
            lambda folder: loss_of(with_adapters(size, folder), _text(DOCUMENTATION)),
        )

    vectors = {
        "up40": up(40),
        "up200": up(200),
        "down": Vector.of(down, _text_loss(size, *range(CLIENTS))),
        "bf16": Vector.of(half, _text_loss(size, 0)),
        "lora-zero": lora(1),
        "lora-round2": lora(2),
    }
    return {f"{size.name}-{name}": vector for name, vector in vectors.items()}


def _text_loss(size: Size, *clients: int) -> Callable[[Path], Loss]:
    return lambda _: loss_of(size.build(), _text(*clients))


def _text(*clients: int) -> Callable[[nn.Module], Tensor]:
    """Return the mean loss on held-out text of clients, each the same number of batches."""
    drawn = [
        batch
        for number in clients
        for batch in batches(shares()[number].held_out, count=JUDGED // len(clients), size=BATCH, length=LENGTH, seed=number)
    ]
    return lambda network: torch.stack([network.loss(batch) for batch in drawn]).mean()


def clients_loss(size: Size) -> Loss:
    """Return the loss of a GPT on held-out text of all clients."""
    return loss_of(size.build(), _text(*range(CLIENTS)))


def _vit_loss(_: Path) -> Loss:
    digits, labels = (part[vision.TRAINED :] for part in vision.digits())
    return loss_of(vision.build(), lambda network: nn.functional.cross_entropy(network(digits), labels))


def _pictures_loss(recipe: images.Recipe) -> Loss:
    """Return the loss on pictures as they are; networks train on them too, augmented."""
    pictures = load()
    chosen, labels = (part[:: len(pictures.labels) // PICTURES] for part in (pictures.images, pictures.labels))

    def measure(network: nn.Module) -> Tensor:
        output = network(to_float(chosen))
        return nn.functional.cross_entropy(getattr(output, "logits", output), labels)

    return loss_of(recipe.build(pictures.classes), measure)


def _bf16(state: State) -> State:
    return {name: values.to(torch.bfloat16) for name, values in state.items()}


JUDGED_VECTORS: Mapping[str, Vector] = {
    "vit": Vector.of(lambda folder: (vision.base(folder), vision.new(folder)), _vit_loss),
    **gpt(LARGE),
    **{
        recipe.name: Vector(
            lambda _, folder, recipe=recipe: images.train_pair(recipe, load(), folder),
            lambda _, recipe=recipe: _pictures_loss(recipe),
        )
        for recipe in images.RECIPES
    },
}
QUICK_VECTORS: Mapping[str, Vector] = {
    name: vector for name, vector in gpt(TINY).items() if name.endswith(("up40", "lora-zero", "bf16"))
}
