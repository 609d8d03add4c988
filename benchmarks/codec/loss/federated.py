"""Federated training of a GPT over every codec: four clients, eight rounds, error feedback on the way up."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from codec.vectors.files import State as TorchState
from codec.vectors.language import LOCAL_LR, SMALL, Size, base, train
from codec.vectors.roster import clients_loss
from fedretina.study.codecs import Array, Codec, State
from fedretina.study.tasks import CLIENTS, shares

ROUNDS, STEPS = 8, 10


@dataclass(frozen=True)
class Training:
    """How a run went: mean bits per weight of an upload, and the loss on held-out text, at first and after each round."""

    channel: str
    bpw: float
    losses: list[float]


@dataclass(frozen=True)
class Federation:
    """What is trained: a GPT of that size, so many rounds of so many local steps."""

    size: Size = SMALL
    rounds: int = ROUNDS
    steps: int = STEPS

    @property
    def weights(self) -> int:
        """Number of weights."""
        return sum(parameter.numel() for parameter in self.size.build().parameters())


def federate(channel: str, codec: Codec, folder: Path, federation: Federation) -> Training:
    """Train with FedAvg; every client's update goes through a codec with states of its own, the way down is uncoded."""
    loss = clients_loss(federation.size)
    model = {name: values.numpy() for name, values in base(federation.size, folder).items()}
    ends = [(State.of(model, seed=number), State.of(model, seed=number)) for number in range(CLIENTS)]
    losses, sent = [loss(model)], 0
    for number in range(federation.rounds):
        arrived = []
        for client, (sender, receiver) in enumerate(ends):
            new = _locally(federation, model, client, seed=1000 + number * CLIENTS + client)
            data = codec.encode({name: new[name].numpy() - model[name] for name in model}, sender)
            sent += len(data)
            arrived.append(codec.decode(data, receiver))
        model = {name: model[name] + _mean([update[name] for update in arrived]) for name in model}
        losses.append(loss(model))
    return Training(channel, 8 * sent / (federation.rounds * CLIENTS * ends[0][0].size), losses)


def _locally(federation: Federation, model: Mapping[str, Array], client: int, *, seed: int) -> TorchState:
    network = federation.size.load({name: torch.from_numpy(values.copy()) for name, values in model.items()})
    train(network, shares()[client].training, steps=federation.steps, lr=LOCAL_LR, seed=seed)
    return network.state_dict()


def _mean(values: list[Array]) -> Array:
    found: Array = np.mean(values, axis=0, dtype=np.float32)
    return found
