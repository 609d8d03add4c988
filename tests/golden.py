"""The golden files of the wire format: what they were made of, and how. Never change one, only add.

`python tests/golden.py` writes the files that are missing.
"""

import json
from dataclasses import replace
from pathlib import Path

import ml_dtypes
import numpy as np

from fedretina.dom import DomConfig, encode, inspect

FIXTURE = Path(__file__).parent / "dom" / "fixture"
VERSION_1 = {
    "keyframe": DomConfig(),
    "fast": DomConfig(effort="fast"),
    "balanced": DomConfig(),
    "small": DomConfig(effort="small", rounding="rdoq"),
    "trellis": DomConfig(effort="small"),
    "lattice": DomConfig(lattice=True),
    "lossless": DomConfig(lossless=True),
    "paper": DomConfig(bits=3, rounding="paper"),
    "budget": DomConfig(budget_bytes=14000),
    "fine": DomConfig(relative_error=1e-5),
    "coarse": DomConfig(bits=1),
}
VERSION_2 = {
    "converted": DomConfig(),
    "predicted": DomConfig(),
    "predicted_coarse": DomConfig(relative_error=0.7),
    "predicted_fine": DomConfig(relative_error=0.05, effort="fast"),
    "predicted_lattice": DomConfig(lattice=True),
    "predicted_small": DomConfig(effort="small", relative_error=0.05),
    "pools": DomConfig(bits=3),
    "pools_lattice": DomConfig(lattice=True, effort="fast"),
    "exact_layouts": DomConfig(lossless=True),
    "metadata": DomConfig(),
    "rotated": DomConfig(rms_step=4.0, rotated=True),
}
CONFIGS = {name: replace(config, format=1) for name, config in VERSION_1.items()} | VERSION_2


def models():
    """A base and a model, by integer arithmetic only: the same on every machine."""
    place = np.arange(9216)
    weight = ((place * 7919 % 1009 - 504) / 1024).reshape(96, 96)
    scale = np.exp2(np.arange(96) % 7 - 5)
    moved = weight + (place * 104729 % 997 - 498).reshape(96, 96) / 2**19 * scale * scale[:, None]
    conv = weight.reshape(16, 64, 3, 3)
    kernel = np.array([[1, 32, 1], [32, 64, 32], [1, 32, 1]]) / 64
    noise = (place * 15485863 % 991 - 495).reshape(conv.shape) / 2**18
    wide = np.arange(160 * 160).reshape(160, 160)
    fading = np.exp2(-(np.arange(160) % 8))
    base = {
        "wide.weight": np.zeros((160, 160), np.float32),
        "conv.weight": conv.astype(np.float32),
        "layer.weight": weight.astype(np.float32),
        "layer.bias": (np.arange(96) / 64).astype(np.float32),
        "layer.steps": np.array(12),
        "half": (weight[:40, :50] / 3).astype(np.float16),
        "brain": (weight[:40, :50] / 5).astype(ml_dtypes.bfloat16),
        "double": weight[:3] * np.pi,
        "frozen": np.ones((4, 4), np.float32),
    }
    new = base | {
        "conv.weight": (conv + noise * kernel).astype(np.float32),
        "wide.weight": ((wide * 15485863 % 983 - 491) / 2**12 * fading * fading[:, None]).astype(np.float32),
        "noise": (place[:4000] ** 2 * 7919 % 65521).astype(np.uint16),
        "layer.weight": moved.astype(np.float32),
        "layer.bias": (np.arange(96) / 64 + 0.001 * (np.arange(96) % 5)).astype(np.float32),
        "layer.steps": np.array(29),
        "half": (moved[:40, :50] / 3).astype(np.float16),
        "brain": (weight[:40, :50] / 5 + 2**-6).astype(ml_dtypes.bfloat16),
        "double": moved[:3] * np.pi,
        "added": np.array([[True, False], [False, True]]),
        "empty": np.zeros((0, 3), np.float32),
    }
    del new["brain"]
    return base, new


def low_rank_models():
    """A base and a model whose difference is nearly of rank 4, by integer arithmetic only."""
    rows, columns = np.arange(160), np.arange(120)
    base, new = {}, {}
    dtypes = {"a": np.float32, "b": ml_dtypes.bfloat16, "c": np.float64, "d": np.float16}
    for place, (name, dtype) in enumerate(dtypes.items()):
        product = np.zeros((160, 120), np.int64)
        for rank in range(1, 5):
            left = (rows * 7919 * (rank + place) % 61 - 30) * (rows * 104729 % 5 + 1)
            product += np.outer(left, columns * 15485863 * rank % 53 - 26) // rank**2
        noise = (np.outer(rows + 1, columns + 1) ** 2 * 7919 % 983 - 491) // 2
        old = np.outer(rows * 31 % 64 - 32, columns * 17 % 64 - 32) / 2**10
        base[name] = old.astype(dtype)
        new[name] = (old + (product + noise) / 2**14).astype(dtype)
    shape = (40, 30, 4, 4)
    return base | {"e": base["a"].reshape(shape)}, new | {"e": new["a"].reshape(shape)}


def converted_models():
    """A base, and the model of low rank with each tensor in another's dtype."""
    base, new = low_rank_models()
    return base, {name: new[name].astype(base[other].dtype) for name, other in zip("abcd", "bcda", strict=True)}


def small_models():
    """A base and a model of many small tensors, of two sizes of differences, and a tied pair; by integer arithmetic only."""
    base, new = {}, {}
    for place in range(40):
        count = 100 if place < 36 else 3000
        values = (np.arange(count) * 7919 * (place + 1) % 1009 - 504) / 2**10
        moved = (np.arange(count) * 104729 * (place + 3) % 997 - 498) / 2 ** (12 + 6 * (place % 2))
        name = f"block.{place:02}.weight"
        base[name] = values.reshape(10, -1).astype(np.float32)
        new[name] = (values + moved).reshape(10, -1).astype(np.float32)
    return base | {"tied": base["block.36.weight"]}, new | {"tied": new["block.36.weight"]}


def exact_models():
    """A base and a model for lossless layouts: all values moved, few rows touched, and both; by integer arithmetic only."""
    place = np.arange(96 * 96).reshape(96, 96)
    values = (place * 7919 % 1009 - 504) * (place * 31 % 13 + 1) / 2**14
    moved = (place * 104729 % 997 - 498) / 2**20
    rows = np.where(np.arange(96)[:, None] % 9, 0, moved)
    many = np.where(np.arange(96)[:, None] % 5, moved, 0)
    differences = {"all": moved, "few": rows, "many": many}
    dtypes = {"brain": ml_dtypes.bfloat16, "half": np.float16, "single": np.float32}
    base = {f"{name}.{kind}": values.astype(dtypes[kind]) for name in differences for kind in dtypes}
    new = {f"{name}.{kind}": (values + differences[name]).astype(dtypes[kind]) for name in differences for kind in dtypes}
    new["all.single"][0, :3] = np.nan, np.inf, -np.inf
    return base, new


MODELS = {
    "converted": converted_models,
    "pools": small_models,
    "pools_lattice": small_models,
    "exact_layouts": exact_models,
}


def models_of(name):
    """The base and the model of a file."""
    return MODELS.get(name, low_rank_models if name in VERSION_2 else models)()


def base_of(name):
    """The base that a file's payload builds on."""
    return None if name == "keyframe" else models_of(name)[0]


def write() -> None:
    FIXTURE.mkdir(exist_ok=True)
    for name, config in CONFIGS.items():
        path = FIXTURE / f"{name}.dom"
        if not path.exists():
            metadata = {"format": "pt", "step": "12"} if name == "metadata" else {}
            payload = encode(models_of(name)[1], base=base_of(name), config=config, metadata=metadata)
            info = inspect(payload)
            path.write_bytes(payload)
            expected = {"format_version": info.format_version, "result": info.result}
            path.with_suffix(".json").write_text(json.dumps(expected) + "\n")


if __name__ == "__main__":
    write()
