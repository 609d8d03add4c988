"""Peers' schemes against numbers that their papers state: what `codecs` computes for the same case."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from fedretina.study.codecs import State, Update, create

_SIDE = 1024
_BUCKET, _LEVELS = 512, 7  # of QSGD at 4 bits
_QSGD_BOUND = min(_BUCKET / _LEVELS**2, _BUCKET**0.5 / _LEVELS)
_BLOCKS = ((64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2))  # of ResNet-18: channels in and out, stride


@dataclass(frozen=True)
class KnownNumber:
    """A number of a paper: what it says, where, and how it is computed here.

    Parameters
    ----------
    codec : str
        Name of the codec.
    what : str
        What the number is, with the setting.
    stated : float
        The paper's number.
    source : str
        Where it stands.
    compute : callable
        Computes it with the codec.
    tolerance : float
        The relative difference that is allowed: what rounding in the paper and chance explain.
    at_most : bool
        Whether the paper's number is an upper bound.
    """

    codec: str
    what: str
    stated: float
    source: str
    compute: Callable[[], float]
    tolerance: float = 0.01
    at_most: bool = False

    @cached_property
    def found(self) -> float:
        """The number as computed here."""
        return self.compute()

    @property
    def agrees(self) -> bool:
        """Whether both numbers are equal within the tolerance, or the bound holds."""
        return self.found <= self.stated if self.at_most else abs(self.found / self.stated - 1) <= self.tolerance


UNCHECKED: Mapping[str, str] = {
    "none": "32 bits a value, by definition",
    "fp16": "16 bits a value, by definition; the error bound is tested",
    "bf16": "16 bits a value, by definition; the error bound is tested",
    "int8": "8 bits a value, by definition; the error bound is tested",
    "topk": "no number of a paper; energy and entropy of normal values are tested",
    "ef21": "no number of a paper; the contraction by 1 - k / d of its Theorem 1 is tested in each round",
    "zstd": "the package itself",
    "zipnn": "the package itself",
    "nncodec": "the package itself, where it is installed",
}
"""Codecs without such a number, and why."""


def known_numbers() -> Sequence[KnownNumber]:
    """Return all of them; each is computed when it is asked for."""
    return (
        KnownNumber(
            "qsgd", "variance over energy at 4 bits, buckets of 512", _QSGD_BOUND, "Theorem 3.2", _qsgd, at_most=True
        ),
        KnownNumber("eden", "squared error at 1 bit", np.pi / 2 - 1, "pi / 2 - 1 (also DRIVE)", _error_of("eden"), 0.02),
        KnownNumber("nf4", "bits a value, blocks of 64", 4.5, "QLoRA, section 3: 32 / 64 for scales", _bits_of("nf4")),
        KnownNumber("int8-blocks", "bits a value, blocks of 256", 8.125, "32 / 256 for scales", _bits_of("int8-blocks")),
        KnownNumber("sparseloco", "bits a value, k = 64", 64 * 14 / 4096, "12 + 2 bits a position", _bits_of("sparseloco")),
        KnownNumber("stc", "bits a position at 1 %", 8.108, "equation of the mean length, with b* = 6", _stc),
        KnownNumber("sign", "bits a value", 1, "BitDelta: 1, without scales", _bits_of("sign"), 0.02),
        *(
            KnownNumber("powersgd", f"ResNet-18, rank {rank}: times fewer values", times, "Table 3", _powersgd(rank))
            for rank, times in ((1, 243), (2, 136), (4, 72))
        ),
    )


def _normal() -> Update:
    return {"w": np.random.default_rng(0).normal(size=(_SIDE, _SIDE)).astype(np.float32) * np.float32(1e-3)}


def _bits_of(name: str) -> Callable[[], float]:
    def bits() -> float:
        values = _normal()
        return 8 * len(create(name).encode(values, State.of(values))) / _SIDE**2

    return bits


def _error(name: str, **settings: Any) -> float:
    codec, values = create(name, **settings), _normal()
    found = codec.decode(codec.encode(values, State.of(values)), State.of(values))["w"]
    return float(np.square(found - values["w"]).sum() / np.square(values["w"]).sum())


def _error_of(name: str) -> Callable[[], float]:
    return lambda: _error(name)


def _qsgd() -> float:
    return _error("qsgd", bits=4)


def _stc() -> float:
    """Return the bits of a position: without count, mean and signs."""
    values = _normal()
    sent = -(-(_SIDE**2) // 100)
    return (8 * len(create("stc", share=0.01).encode(values, State.of(values))) - 64) / sent - 1


def _powersgd(rank: int) -> Callable[[], float]:
    def times() -> float:
        model = {name: np.zeros(shape, np.float32) for name, shape in _resnet18().items()}
        sent = len(create("powersgd", rank=rank).encode(model, State.of(model))) / 2  # half floats here, float32 there
        return sum(values.size for values in model.values()) / sent

    return times


def _resnet18() -> dict[str, tuple[int, ...]]:
    """Return the shapes of ResNet-18 for CIFAR-10, as in the paper: 11.2 million weights."""
    convolutions = [(64, 3, 3, 3)]
    for channels, out, stride in _BLOCKS:
        convolutions += [(out, channels, 3, 3), *[(out, out, 3, 3)] * 3]
        convolutions += [(out, channels, 1, 1)] if stride == 2 else []
    shapes: dict[str, tuple[int, ...]] = {f"conv{number}": shape for number, shape in enumerate(convolutions)}
    norms = {f"{part}{n}": (shape[0],) for n, shape in enumerate(convolutions) for part in ("weight", "bias")}
    return {**shapes, **norms, "fc.weight": (10, 512), "fc.bias": (10,)}
