"""Stability: `encode` writes format version 1 in the same bytes as before, for many configurations, with and without a base.

`python tests/dom/test_same_bytes.py` writes the table anew, after a change that is meant to change bytes.
"""

import json
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest
from blake3 import blake3

from fedretina.dom import DomConfig, Version, encode, publish
from golden import models

TABLE = Path(__file__).parent / "fixture" / "encoded.json"
CONFIGS = {
    "default": DomConfig(),
    "fast": DomConfig(effort="fast"),
    "small": DomConfig(effort="small"),
    "small rdoq": DomConfig(effort="small", rounding="rdoq"),
    "rdoq": DomConfig(rounding="rdoq"),
    "nearest": DomConfig(rounding="nearest"),
    "paper": DomConfig(rounding="paper", bits=3),
    "dead zone": DomConfig(rounding="deadzone", dead_zone=0.1),
    "lattice": DomConfig(lattice=True),
    "lattice fast": DomConfig(lattice=True, effort="fast"),
    "lattice small": DomConfig(lattice=True, effort="small"),
    "lattice fine": DomConfig(lattice=True, relative_error=0.01),
    "lossless": DomConfig(lossless=True),
    "lossless fast": DomConfig(lossless=True, effort="fast"),
    "lossless small": DomConfig(lossless=True, effort="small"),
    "lattice lossless": DomConfig(lattice=True, lossless=True),
    "bits 1": DomConfig(bits=1),
    "bits 4": DomConfig(bits=4),
    "bits 3 small": DomConfig(bits=3, effort="small"),
    "bits 3 keyframes": DomConfig(bits=3, absolute_keyframes=True),
    "budget": DomConfig(budget_bytes=60_000),
    "budget lattice": DomConfig(budget_bytes=60_000, lattice=True),
    "budget fast": DomConfig(budget_bytes=60_000, effort="fast"),
    "fine": DomConfig(relative_error=1e-5),
    "coarse": DomConfig(relative_error=0.9, keyframe_error=0.1),
    "vectors": DomConfig(vector_error=None),
    "some lossy": DomConfig(lossy_tensors=("*", "!layer.*")),
}


def payload_digests(name: str) -> list[str]:
    """Of two keyframes, a delta, and a delta that carries a residual and has an exact tensor."""
    config = replace(CONFIGS[name], format=1)
    base, new = models()
    first = publish(base, base=None, config=config)
    second = publish(new, base=Version.of(base), config=config, residual=first.residual, exact={"conv.weight"})
    payloads = [encode(new, config=config), encode(new, base=base, config=config), first.payload, second.payload]
    return [blake3(payload).hexdigest() for payload in payloads]


def write() -> None:
    table = {"pcodec": version("pcodec"), "payloads": {name: payload_digests(name) for name in CONFIGS}}
    TABLE.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


EXPECTED = json.loads(TABLE.read_text(encoding="utf-8")) if TABLE.exists() else {}


@pytest.mark.skipif(EXPECTED.get("pcodec") != version("pcodec"), reason="the table was written with another pcodec")
@pytest.mark.parametrize("name", CONFIGS)
def test_encode_writes_the_same_bytes(name):
    assert payload_digests(name) == EXPECTED["payloads"][name]


if __name__ == "__main__":
    write()
