"""The federations: digits under several networks, two of them with BatchNorm; a small GPT; LoRA on it; pedestrians."""

from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from any_strategy.network_data import split_by_dirichlet
from any_strategy.network_models import NETWORKS
from any_strategy.network_models import start as start_network
from any_strategy.network_models import train as train_network
from any_strategy.networks import accuracy
from codec.vectors.adapters import with_adapters
from codec.vectors.language import BATCH, LENGTH, LOCAL_LR, Size, base
from codec.vectors.language import train as train_text
from fedretina import home
from fedretina.reid import (
    Photo,
    augment,
    build,
    evaluate_features,
    identity_loss,
    load_images,
    read_domain,
    render,
    to_float,
)
from fedretina.study.tasks import CLIENTS, DOCUMENTATION, batches, shares
from fedretina.task import shuffled
from presets.federation import NODES, Federation

SKEW = 2.0
CHOSEN = ("mlp", "cnn-batchnorm", "norm-first-wine", "transformer")
GPT = Size("gpt-presets", width=64, depth=2, warmup=200)
ADAPTER_LR = 1e-3
TEXT_STEPS, TEXT_BATCHES = 10, 8
HEIGHT, WIDTH, PHOTOS, REID_LR, REID_STEPS = 64, 32, 32, 2e-3, 8


def federations(folder: Path) -> dict[str, Federation]:
    """Return all federations by name; bases are trained once, in the folder."""
    return {
        **{name: _network(name) for name in CHOSEN},
        "gpt": _gpt(folder),
        "lora": _lora(folder),
        "reid": _pedestrians(),
    }


def _network(name: str) -> Federation:
    network, data = NETWORKS[name], NETWORKS[name].load()

    def train(model: nn.Module, node: int, number: int, seed: int) -> int:
        rows = split_by_dirichlet(data.y, NODES, skew=SKEW, seed=seed)[node]
        batch_seed = (seed * 1000 + number) * NODES + node
        train_network(model, data.x[rows], data.y[rows], network, epochs=network.epochs, seed=batch_seed)
        return len(rows)

    return Federation(
        title=network.title,
        metric="accuracy, %",
        sign=1,
        rounds=12,
        start=partial(start_network, name),
        train=train,
        measure=partial(accuracy, data=data),
    )


def _gpt(folder: Path) -> Federation:
    def train(model: nn.Module, node: int, number: int, seed: int) -> int:
        return _train_text(model, shares()[node].training, node, number, seed, lr=LOCAL_LR)

    held_out = [_text(shares()[number].held_out, TEXT_BATCHES // CLIENTS, number) for number in range(CLIENTS)]
    return Federation(
        title="GPT, sources of Python",
        metric="loss, nats",
        sign=-1,
        rounds=8,
        start=lambda _: GPT.load(base(GPT, folder)),
        train=train,
        measure=partial(_text_loss, [batch for some in held_out for batch in some]),
    )


def _lora(folder: Path) -> Federation:
    def train(model: nn.Module, node: int, number: int, seed: int) -> int:
        return _train_text(model, shares()[DOCUMENTATION].training.chunk(NODES)[node], node, number, seed, lr=ADAPTER_LR)

    return Federation(
        title="LoRA of rank 8 on it, documentation of Python",
        metric="loss, nats",
        sign=-1,
        rounds=8,
        start=lambda _: with_adapters(GPT, folder),
        train=train,
        measure=partial(_text_loss, _text(shares()[DOCUMENTATION].held_out, TEXT_BATCHES, 0)),
        state=_trained,
    )


def _trained(model: nn.Module) -> Mapping[str, Tensor]:
    return {name: values for name, values in model.named_parameters() if values.requires_grad}


def _train_text(model: nn.Module, tokens: Tensor, node: int, number: int, seed: int, *, lr: float) -> int:
    train_text(model, tokens, steps=TEXT_STEPS, lr=lr, seed=(seed * 1000 + number) * NODES + node)
    return TEXT_STEPS * BATCH


def _text(tokens: Tensor, count: int, seed: int) -> list[Tensor]:
    return batches(tokens, count=count, size=BATCH, length=LENGTH, seed=seed)


@torch.no_grad()
def _text_loss(held_out: list[Tensor], model: nn.Module) -> float:
    model.eval()
    return float(torch.stack([model.loss(batch) for batch in held_out]).mean())


class Pedestrians:
    """A rendered domain in memory: training photos, and those of the test."""

    def __init__(self) -> None:
        domain = read_domain(render(home.renderings(), ("duke",), seed=0) / "duke")
        self.query, self.gallery = domain.query, domain.gallery
        self.images = _pixels(domain.train)
        identities = torch.tensor([photo.identity for photo in domain.train])
        self.labels = torch.unique(identities, return_inverse=True)[1]
        self.tested = tuple(to_float(_pixels(photos)) for photos in (self.query, self.gallery))


def _pixels(photos: tuple[Photo, ...]) -> Tensor:
    return torch.from_numpy(np.array(load_images(photos, height=HEIGHT, width=WIDTH, cache=home.decoded())))


def _pedestrians() -> Federation:
    load: Callable[[], Pedestrians] = cache(Pedestrians)

    def start(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return build("small", int(load().labels.max()) + 1, height=HEIGHT, width=WIDTH)

    def train(model: nn.Module, node: int, number: int, seed: int) -> int:
        rows = split_by_dirichlet(load().labels, NODES, skew=SKEW, seed=seed)[node]
        generator = torch.Generator().manual_seed((seed * 1000 + number) * NODES + node)
        chosen = islice(shuffled(len(rows), PHOTOS, generator), REID_STEPS)
        _train_photos(
            model, ((augment(load().images[rows[i]], generator=generator), load().labels[rows[i]]) for i in chosen)
        )
        return len(rows)

    return Federation(
        title="re-ID, rendered pedestrians, BatchNorm",
        metric="mAP, %",
        sign=1,
        rounds=6,
        start=start,
        train=train,
        measure=lambda model: _map(model, load()),
    )


def _train_photos(model: nn.Module, drawn: Iterator[tuple[Tensor, Tensor]]) -> None:
    model.train()
    optimiser = torch.optim.Adam(model.parameters(), lr=REID_LR, weight_decay=5e-4)
    for images, labels in drawn:
        optimiser.zero_grad()
        identity_loss(model(images).logits, labels).backward()
        optimiser.step()


@torch.no_grad()
def _map(model: nn.Module, data: Pedestrians) -> float:
    model.eval()
    query, gallery = (functional.normalize(model(images).embedding) for images in data.tested)
    scores = evaluate_features(
        query,
        gallery,
        query_ids=[photo.identity for photo in data.query],
        query_cameras=[photo.camera for photo in data.query],
        gallery_ids=[photo.identity for photo in data.gallery],
        gallery_cameras=[photo.camera for photo in data.gallery],
    )
    return float(scores.mAP)
