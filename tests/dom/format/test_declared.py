"""Names, dtypes and shapes that a payload declares are those of the decoded model; damage is found without decoding."""

from dataclasses import replace

import numpy as np
import pytest

from fedretina.dom import DomConfig, Version, decode, encode, publish
from fedretina.dom.format.declared import read_tensors
from fedretina.dom.format.decoder import specs_of
from fedretina.dom.format.envelope import read_envelope, write_envelope
from fedretina.errors import Corrupt

RNG = np.random.default_rng(0)
OLD = {"a": RNG.normal(size=(20, 30)).astype(np.float32), "gone": np.ones(3), "n": np.array(3), "h": np.ones((2, 0))}
NEW = {"a": OLD["a"] + np.float32(0.01), "late": np.ones((2, 1), np.float16), "n": np.array(4), "h": OLD["h"]}


def specs(model):
    return {spec.name: spec for spec in specs_of(model)}


@pytest.mark.parametrize("config", [DomConfig(), DomConfig(lossless=True), DomConfig(lattice=True), DomConfig(bits=3)])
@pytest.mark.parametrize("base", [None, OLD])
def test_they_are_those_of_the_decoded_model(config, base):
    payload = encode(NEW, base=base, config=config)
    declared = read_tensors(payload, base=specs(base or {}))
    assert declared == specs(decode(payload, base=base))
    assert list(declared) == sorted(NEW)


def test_another_base_is_noticed():
    payload = publish(NEW, base=Version.of(OLD)).payload
    with pytest.raises(Corrupt, match="base"):
        read_tensors(payload, base={})


def test_sizes_and_lengths_are_checked():
    payload = encode(NEW)
    with pytest.raises(Corrupt, match="allowed here: 9"):
        read_tensors(payload, base={}, max_bytes=9)
    envelope = read_envelope(payload)
    with pytest.raises(Corrupt, match="pieces"):
        read_tensors(write_envelope(replace(envelope, body=envelope.body + b"x")), base={})
    with pytest.raises(Corrupt, match="lattice"):
        read_tensors(write_envelope(replace(read_envelope(encode(NEW, config=DomConfig(bits=3))), lattice=True)), base={})
