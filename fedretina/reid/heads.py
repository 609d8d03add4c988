"""The heads: the layers after a network's last feature map."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fedretina.reid.networks import Body


class PartsOutput(NamedTuple):
    """The output of a model with parts for a batch."""

    embedding: Tensor
    """shape (batch, parts * dim), float: the parts concatenated, not normalised"""
    logits: Tensor
    """shape (batch, parts, classes), float: each part has its own classifier"""
    local: Tensor
    """shape (batch, parts, dim), float: the parts before the BatchNorm neck, from top to bottom"""


class PartsReID(nn.Module):
    """A network whose last feature map is divided into horizontal parts, each with an embedding and a classifier (PCB)."""

    def __init__(self, body: Body, classes: int) -> None:
        super().__init__()
        parts, width = body.parts, body.part_width
        for name in ("reduce", "embedding", "head"):
            if hasattr(body, name):
                delattr(body, name)
        self.body = body
        self.reduce = nn.ModuleList(nn.Linear(body.channels, width, bias=False) for _ in range(parts))
        self.embedding = nn.BatchNorm1d(parts * width)
        self.head = nn.ModuleList(nn.Linear(width, classes, bias=False) for _ in range(parts))

    def forward(self, images: Tensor) -> PartsOutput:
        """Embed and classify images of shape (batch, 3, height, width)."""
        stripes = F.adaptive_avg_pool2d(self.body.map(images), (len(self.head), 1)).flatten(2)
        local = torch.stack([reduce(stripes[:, :, i]) for i, reduce in enumerate(self.reduce)], dim=1)
        embedding = self.embedding(local.flatten(1))
        necks = embedding.view_as(local)
        logits = torch.stack([head(necks[:, i]) for i, head in enumerate(self.head)], dim=1)
        return PartsOutput(embedding, logits, local)


@dataclass(frozen=True)
class Head:
    """A kind of head.

    Parameters
    ----------
    attach : callable
        Adds the head to a network, for a number of classes; it may change the network.
    prefix : str, default ""
        Prefix that the head adds to the names of the network's tensors. It shows that a file was saved with this head.
    """

    attach: Callable[[Body, int], nn.Module]
    prefix: str = ""

    def is_in(self, names: Iterable[str]) -> bool:
        """Tell whether a file with these tensors was saved from a network with this head."""
        return not self.prefix or any(name.startswith(self.prefix) for name in names)


def _keep(body: Body, classes: int) -> nn.Module:
    del classes  # the network's own head has them
    return body


def _remove_neck(body: Body, classes: int) -> nn.Module:
    del classes
    body.embedding = nn.Identity()
    return body


HEADS: Mapping[str, Head] = {
    "global": Head(_keep),
    "plain": Head(_remove_neck),
    "parts": Head(PartsReID, prefix="body."),
}
"""global: one embedding with a BatchNorm neck. plain: without the neck. parts: one embedding per horizontal part (PCB)."""
