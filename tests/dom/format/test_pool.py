import numpy as np
import pytest

from fedretina.dom import DomConfig, decode, encode, inspect, publish


@pytest.fixture
def normed():
    """A model of small tensors: narrow differences, and wide ones."""
    rng = np.random.default_rng(0)
    base = {f"{kind}{number}": np.zeros(1024, np.float32) for kind in ("bias", "variance") for number in range(6)}
    scale = {"bias": 1e-3, "variance": 0.1}
    new = {name: (scale[name[:-1]] * rng.standard_normal(array.size)).astype(np.float32) for name, array in base.items()}
    return base, new


def _pooled(payload, base):
    return {tensor.name: "pooled" in tensor.coding for tensor in inspect(payload, base=base).tensors}


def test_wide_tensors_leave_the_pool(normed):
    base, new = normed
    pooled = _pooled(encode(new, base=base, config=DomConfig(bits=3, vector_error=None)), base)
    assert {name for name, together in pooled.items() if together} == {name for name in base if name.startswith("bias")}


def test_it_saves_bytes_and_changes_nothing_else(normed):
    base, new = normed
    together, apart = (
        encode(new, base=base, config=DomConfig(bits=3, effort=effort, vector_error=None)) for effort in ("fast", "balanced")
    )
    assert all(_pooled(together, base).values())
    assert len(apart) < 0.95 * len(together)
    one, other = decode(together, base=base), decode(apart, base=base)
    assert all(np.array_equal(one[name], other[name]) for name in new)


def test_tensors_of_one_spread_stay_together(normed):
    base, new = normed
    alike = {name: array for name, array in new.items() if name.startswith("bias")}
    assert all(_pooled(encode(alike, base=base, config=DomConfig(bits=4)), base).values())


@pytest.mark.parametrize("config", [DomConfig(lattice=True), DomConfig(lossless=True), DomConfig(effort="small", bits=3)])
def test_what_is_published_is_what_receivers_decode(normed, config):
    new = normed[1]
    made = publish(new, base=None, config=config)
    restored = decode(made.payload)
    assert all(np.array_equal(restored[name], made.version.model[name]) for name in new)
