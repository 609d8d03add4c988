"""Versions whose differences are predicted lie on the lattice like all others: every way ends in the same digest."""

import numpy as np
import pytest

from fedretina.dom import DomConfig, ReferenceStore, Stream, Version, decode, encode, follow, inspect
from fedretina.dom.quantisation.lossless import common_unit
from fedretina.dom.quantisation.quantise import Pair


def low_rank_versions(count, dtype=np.float32):
    rng = np.random.default_rng(5)
    weight = rng.standard_normal((160, 120))
    for _ in range(count):
        yield {"weight": weight.astype(dtype), "bias": weight[0, :20].astype(dtype)}
        moved = rng.standard_normal((160, 2)) @ rng.standard_normal((2, 120))
        weight = weight + 1e-2 * (moved + 0.1 * rng.standard_normal(weight.shape))


@pytest.fixture
def stream(tmp_path):
    return Stream("test", store=ReferenceStore(tmp_path), config=DomConfig(lattice=True))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_every_way_ends_in_the_same_digest(stream, dtype):
    links = [stream.publish(model) for model in low_rank_versions(6, dtype)]
    assert any(tensor.rank for tensor in inspect(links[1].payload).tensors)
    assert all(inspect(link.payload).lattice for link in links)
    for holds in (None, *(link.digest for link in links)):
        base = None if holds is None else stream.store.get(holds)
        assert follow(stream.route(holds).payloads, base=base).digest == links[-1].digest
    chain = follow([link.payload for link in links], base=None)
    assert chain.digest == links[-1].digest


def test_any_two_versions_differ_by_integers(stream):
    links = [stream.publish(model) for model in low_rank_versions(5)]
    versions = [stream.store.get(link.digest).model["weight"].reshape(-1) for link in links]
    for first in range(1, 5):
        for second in range(first + 1, 5):
            found = common_unit(Pair(versions[second], versions[first]))
            assert found is not None
            assert np.abs(found[1]).max() < 2**15


def test_predictions_save_bytes_on_the_lattice_too():
    first, second = low_rank_versions(2)
    base = Version.of(first).model
    sizes = [len(encode(second, base=base, config=DomConfig(lattice=True, format=version))) for version in (2, 1)]
    assert sizes[0] < 0.5 * sizes[1]
    payload = encode(second, base=base, config=DomConfig(lattice=True))
    lost = np.linalg.norm(decode(payload, base=base)["weight"] - second["weight"])
    assert lost < 1.5 * 0.25 * np.linalg.norm(second["weight"] - base["weight"])
