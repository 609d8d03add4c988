"""Two transformers, small: a GPT over tokens and a ViT over pictures; and adapters of low rank for the first."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

HEADS = 4
RANK, SCALE = 8, 2.0
_INIT = 0.02


class Block(nn.Module):
    """Attention and a layer of four times the width, each after a norm, each added to its input."""

    def __init__(self, width: int, *, causal: bool) -> None:
        super().__init__()
        self.causal = causal
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.fc, self.out = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return features of the same shape, (B, T, width)."""
        batch, length, width = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(batch, length, 3, HEADS, width // HEADS).permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        x = x + self.proj(attended.transpose(1, 2).reshape(batch, length, width))
        return x + self.out(functional.gelu(self.fc(self.norm2(x))))


class Gpt(nn.Module):
    """A causal transformer; the embedding of tokens is the head too, as in GPT-2."""

    def __init__(self, *, width: int, depth: int, vocabulary: int, length: int) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
        self.blocks = nn.Sequential(*(Block(width, causal=True) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        _initialise(self)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the logits of each next token, shape (B, T, vocabulary), for tokens of shape (B, T)."""
        x = self.tokens(tokens) + self.places.weight[: tokens.shape[1]]
        return functional.linear(self.norm(self.blocks(x)), self.tokens.weight)

    def loss(self, sequences: Tensor) -> Tensor:
        """Return the mean cross entropy of next tokens, in nats, over sequences of shape (B, T + 1)."""
        return functional.cross_entropy(self(sequences[:, :-1]).flatten(0, 1), sequences[:, 1:].flatten())


class Vit(nn.Module):
    """A transformer over patches of 2 x 2 pixels, its outputs averaged (Dosovitskiy et al., ICLR 2021)."""

    def __init__(self, classes: int, *, side: int, width: int = 128, depth: int = 4) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, width, 2, stride=2)
        self.places = nn.Parameter(torch.zeros((side // 2) ** 2, width))
        self.blocks = nn.Sequential(*(Block(width, causal=False) for _ in range(depth)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, classes)
        _initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, shape (B, classes), of images of shape (B, 1, side, side)."""
        x = self.patches(images).flatten(2).transpose(1, 2) + self.places
        return self.head(self.norm(self.blocks(x)).mean(1))


class Adapter(nn.Module):
    """LoRA (Hu et al., ICLR 2022): a frozen layer plus `SCALE` times B A of rank 8; B starts at zero."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.layer = layer.requires_grad_(False)
        self.a = nn.Parameter(torch.randn(RANK, layer.in_features) * layer.in_features**-0.5)
        self.b = nn.Parameter(torch.zeros(layer.out_features, RANK))

    def forward(self, x: Tensor) -> Tensor:
        """Return the layer's output plus the adapter's."""
        return self.layer(x) + SCALE * functional.linear(functional.linear(x, self.a), self.b)


def add_adapters(model: nn.Module) -> nn.Module:
    """Freeze a model, and give each linear layer of its blocks an adapter; return the same model."""
    model.requires_grad_(False)
    for block in list(_blocks(model)):
        for name, layer in list(block.named_children()):
            if isinstance(layer, nn.Linear):
                setattr(block, name, Adapter(layer))
    return model


def _blocks(model: nn.Module) -> Iterator[Block]:
    return (module for module in model.modules() if isinstance(module, Block))


def _initialise(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=_INIT)
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)
