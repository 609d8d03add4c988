"""Federated training of a GPT over every codec: four clients, eight rounds, error feedback on the way up."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from codec.vectors.files import State as TorchState
from codec.vectors.language import LOCAL_LR, SMALL, Size, base, train
from codec.vectors.roster import clients_loss
from fedretina.study.codecs import Array, Codec, State, create
from fedretina.study.tasks import CLIENTS, shares

ROUNDS, STEPS = 8, 10

CHANNELS: Mapping[str, Callable[[], Codec]] = {
    "none": lambda: create("none"),
    "DoM small, error .9": lambda: create("dom", relative_error=0.9, effort="small"),
    "DoM balanced, error .9": lambda: create("dom", relative_error=0.9),
    **{f"DoM one step, {step:g} RMS": partial(create, "dom", rms_step=step) for step in (1.0, 2.0, 3.0, 5.0, 8.0)},
    "DoM budget .25 bpw": lambda: create("dom", budget_bytes=33_500, effort="small"),
    "DoM budget .08 bpw": lambda: create("dom", budget_bytes=10_700, effort="small"),
    "SparseLoCo k = 64": lambda: create("sparseloco", k=64),
    "SparseLoCo k = 64, coded positions": lambda: create("sparseloco", k=64, positions="rice"),
    "SparseLoCo k = 128, coded positions": lambda: create("sparseloco", k=128, positions="rice"),
    "STC 1 %": lambda: create("stc", share=0.01),
    "STC 4 %": lambda: create("stc", share=0.04),
    "top-k 1 %": lambda: create("topk", share=0.01),
    "top-k 1 %, no feedback": lambda: create("topk", share=0.01, decay=None),
    "EF21, top-k 1 %": lambda: create("ef21", share=0.01),
    "PowerSGD rank 2": lambda: create("powersgd", rank=2),
    "PowerSGD rank 4": lambda: create("powersgd", rank=4),
    "sign per row, feedback": lambda: create("sign", decay=1.0),
    "nf4": lambda: create("nf4"),
    "int8": lambda: create("int8"),
}
QUICK = ("none", "DoM small, error .9", "SparseLoCo k = 64", "STC 1 %")


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


def federate(channel: str, folder: Path, federation: Federation) -> Training:
    """Train with FedAvg; every client's update goes through a codec with states of its own, the way down is uncoded."""
    codec, loss = CHANNELS[channel](), clients_loss(federation.size)
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
