"""A BERT encoder for sentence embeddings (Devlin et al., NAACL 2019), straight from a state dict, and its tokenizer."""

import unicodedata
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import gelu, layer_norm, linear, normalize, scaled_dot_product_attention

from pretrained.state import Tensors

HEADS = 12
LONGEST = 64  # tokens of a text that are read


def tokenize(text: str, vocabulary: dict[str, int]) -> list[int]:
    """Return the text's WordPiece tokens, lower case, with [CLS] and [SEP]."""
    words = [piece for word in _split(text.lower()) for piece in _pieces(word, vocabulary)]
    return [vocabulary["[CLS]"], *words[: LONGEST - 2], vocabulary["[SEP]"]]


def embed(weights: Tensors, texts: Sequence[Sequence[int]], *, batch: int = 64) -> Tensor:
    """Return one embedding of length 1 a text: the mean over its tokens, as all-MiniLM-L6-v2 pools."""
    order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
    found: dict[int, Tensor] = {}
    for start in range(0, len(order), batch):
        chosen = order[start : start + batch]
        found |= zip(chosen, _embed_batch(weights, [texts[index] for index in chosen]), strict=True)
    return torch.stack([found[index] for index in range(len(texts))])


def _embed_batch(weights: Tensors, texts: Sequence[Sequence[int]]) -> Tensor:
    longest = max(map(len, texts))
    tokens = torch.tensor([[*text, *[0] * (longest - len(text))] for text in texts])
    mask = torch.arange(longest) < torch.tensor([[len(text)] for text in texts])
    table = {name: weights[f"embeddings.{name}_embeddings.weight"] for name in ("word", "position", "token_type")}
    hidden = table["word"][tokens] + table["position"][:longest] + table["token_type"][0]
    hidden = _norm(weights, "embeddings.LayerNorm", hidden)
    for layer in range(sum(name.endswith("intermediate.dense.weight") for name in weights)):
        hidden = _layer(weights, f"encoder.layer.{layer}", hidden, mask)
    weight = mask[..., None] / mask.sum(1)[:, None, None]
    return normalize((hidden * weight).sum(1), dim=1)


def _layer(weights: Tensors, name: str, hidden: Tensor, mask: Tensor) -> Tensor:
    parts = [_dense(weights, f"{name}.attention.self.{part}", hidden) for part in ("query", "key", "value")]
    query, key, value = (part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in parts)
    context = scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None, None]).transpose(1, 2).flatten(2)
    attended = hidden + _dense(weights, f"{name}.attention.output.dense", context)
    attended = _norm(weights, f"{name}.attention.output.LayerNorm", attended)
    inner = gelu(_dense(weights, f"{name}.intermediate.dense", attended))
    return _norm(weights, f"{name}.output.LayerNorm", attended + _dense(weights, f"{name}.output.dense", inner))


def _dense(weights: Tensors, name: str, hidden: Tensor) -> Tensor:
    return linear(hidden, weights[f"{name}.weight"], weights[f"{name}.bias"])


def _norm(weights: Tensors, name: str, hidden: Tensor) -> Tensor:
    return layer_norm(hidden, hidden.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], 1e-12)


def _split(text: str) -> list[str]:
    spaced = (f" {letter} " if unicodedata.category(letter)[0] in "PS" else letter for letter in text)
    return "".join(spaced).split()


def _pieces(word: str, vocabulary: dict[str, int]) -> list[int]:
    found: list[int] = []
    start = 0
    while start < len(word):
        prefix = "##" if start else ""
        ends = range(len(word), start, -1)
        end = next((end for end in ends if prefix + word[start:end] in vocabulary), None)
        if end is None:
            return [vocabulary["[UNK]"]]
        found.append(vocabulary[prefix + word[start:end]])
        start = end
    return found
