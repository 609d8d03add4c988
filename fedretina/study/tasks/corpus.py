"""Text that ships with Python: sources of the standard library and its documentation, dealt to clients, as tokens."""

import re
import sysconfig
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

CLIENTS = 4
DOCUMENTATION = CLIENTS
VOCABULARY = 2048
_BYTES = 256
_BLOCK, _HELD_OUT = 8192, 10
_PIECE = re.compile(r" ?[A-Za-z]+|\n *|[^A-Za-z\n]")


@dataclass(frozen=True)
class Share:
    """The tokens of one client, int64: every tenth block of 8,192 characters is held out from training."""

    training: Tensor
    held_out: Tensor


@cache
def shares(clients: int = CLIENTS) -> tuple[Share, ...]:
    """Return the shares of the clients (sources), then the documentation."""
    library = Path(sysconfig.get_paths()["stdlib"])
    texts = [_read(file) for file in sorted(library.glob("*.py"))]
    parts = ["".join(texts[client::clients]) for client in range(clients)]
    parts.append(_read(library / "pydoc_data" / "topics.py").replace("\\n", "\n"))
    split = [_split(part) for part in parts]
    numbers = _vocabulary("".join(training for training, _ in split))
    return tuple(Share(_encode(training, numbers), _encode(held_out, numbers)) for training, held_out in split)


@cache
def documentation(clients: int) -> tuple[Share, ...]:
    """Return the documentation dealt to clients, in parts of equal size."""
    whole = shares()[DOCUMENTATION]
    pairs = zip(whole.training.tensor_split(clients), whole.held_out.tensor_split(clients), strict=True)
    return tuple(Share(training, held_out) for training, held_out in pairs)


def source() -> str:
    """Name the text, for the page."""
    return f"the standard library of Python {sysconfig.get_python_version()}"


def batches(tokens: Tensor, *, count: int, size: int, length: int, seed: int) -> list[Tensor]:
    """Draw `count` batches of `size` sequences of `length` + 1 tokens, by chance."""
    generator = torch.Generator().manual_seed(seed)
    starts = torch.randint(len(tokens) - length, (count, size, 1), generator=generator)
    return list(tokens[starts + torch.arange(length + 1)])


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace")


def _split(text: str) -> tuple[str, str]:
    blocks = [text[at : at + _BLOCK] for at in range(0, len(text), _BLOCK)]
    held_out = blocks[::_HELD_OUT]
    del blocks[::_HELD_OUT]
    return "".join(blocks), "".join(held_out)


def _vocabulary(text: str) -> dict[str, int]:
    """Number the most frequent words, indents and signs; the first 256 numbers are bytes, which spell all others."""
    counts = Counter(_PIECE.findall(text))
    frequent = sorted(counts, key=lambda piece: (-counts[piece], piece))[: VOCABULARY - _BYTES]
    return {piece: _BYTES + number for number, piece in enumerate(frequent)}


def _encode(text: str, numbers: dict[str, int]) -> Tensor:
    tokens: list[int] = []
    for piece in _PIECE.findall(text):
        tokens.extend((numbers[piece],) if piece in numbers else piece.encode())
    return torch.from_numpy(np.array(tokens, np.int64))
