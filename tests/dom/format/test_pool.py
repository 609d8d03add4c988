import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedretina.dom import DomConfig, Version, accept, decode, encode, inspect, publish
from fedretina.dom.format.envelope import read_envelope


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


def test_wide_tensors_leave_the_pool_of_version_1(normed):
    base, new = normed
    pooled = _pooled(encode(new, base=base, config=DomConfig(bits=3, vector_error=None, format=1)), base)
    assert {name for name, together in pooled.items() if together} == {name for name in base if name.startswith("bias")}


def test_it_saves_bytes_and_changes_nothing_else(normed):
    base, new = normed
    together, apart = (
        encode(new, base=base, config=DomConfig(bits=3, effort=effort, vector_error=None, format=1))
        for effort in ("fast", "balanced")
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


def _codings(payload, base):
    return {tensor.name: tensor.coding for tensor in inspect(payload, base=base).tensors}


def test_version_2_has_a_pool_for_each_spread(normed):
    base, new = normed
    codings = _codings(encode(new, base=base, config=DomConfig(bits=3, vector_error=None)), base)
    by_kind = [{coding for name, coding in codings.items() if name.startswith(kind)} for kind in ("bias", "variance")]
    assert by_kind == [{"steps (pooled)"}, {"steps (pooled 1)"}]


def test_there_are_eight_pools_at_the_most():
    rng = np.random.default_rng(0)
    base = {f"t{number:02}": np.zeros((30, 60), np.float32) for number in range(16)}
    new = {name: (4.0**number * rng.standard_normal((30, 60))).astype(np.float32) for number, name in enumerate(base)}
    payload = encode(new, base=base, config=DomConfig(bits=0, effort="fast"))
    assert set(_codings(payload, base).values()) == {
        "steps (pooled)",
        *(f"steps (pooled {number})" for number in range(1, 8)),
    }
    assert (
        accept(payload, base=Version.of(base))
        == publish(new, base=Version.of(base), config=DomConfig(bits=0, effort="fast")).version
    )


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(1, 900), st.floats(-6, 2)), min_size=2, max_size=12),
    st.sampled_from(["fast", "balanced", "small"]),
    st.booleans(),
    st.integers(0, 99),
)
def test_models_of_small_tensors_arrive_as_they_were_published(tensors, effort, lattice, seed):
    rng = np.random.default_rng(seed)
    base = {f"t{number}": rng.standard_normal(sizes[:2]).astype(np.float32) for number, sizes in enumerate(tensors)}
    new = {
        name: (base[name] + 10.0**power * rng.standard_normal((rows, columns))).astype(np.float32)
        for name, (rows, columns, power) in zip(base, tensors, strict=True)
    }
    made = publish(new, base=Version.of(base), config=DomConfig(effort=effort, lattice=lattice))
    assert accept(made.payload, base=Version.of(base)) == made.version


def _small_tensors(count, shape, dtype=np.float32):
    rng = np.random.default_rng(3)
    base = {f"block.{number}.weight": rng.standard_normal(shape).astype(dtype) for number in range(count)}
    new = {name: (array + 1e-3 * rng.standard_normal(shape)).astype(dtype) for name, array in base.items()}
    return base, new


def _entropy_of_one_step(base, new, error):
    """Bits per value of all differences, rounded with the one step that makes this error."""
    difference = np.concatenate([np.float64(new[name] - base[name]).ravel() for name in base])
    steps = np.geomspace(1e-5, 1e-1, 4000)
    rms = np.sqrt(np.mean(difference**2))
    step = min(steps, key=lambda step: abs(_rounding_error(difference, step) / rms - error))
    counts = np.unique(np.rint(difference / step), return_counts=True)[1] / difference.size
    return float(-(counts * np.log2(counts)).sum())


def _rounding_error(difference, step):
    return np.sqrt(np.mean((difference - step * np.rint(difference / step)) ** 2))


@pytest.mark.parametrize(("count", "shape", "limit"), [(500, (8, 8), 1.05), (40, (8, 512), 1.03), (40, (2, 1024), 1.03)])
def test_many_small_tensors_take_what_one_large_one_would(count, shape, limit):
    base, new = _small_tensors(count, shape)
    payload = encode(new, base=base)
    decoded = decode(payload, base=base)
    lost, whole = (
        np.sqrt(sum(np.square(np.float64(each[name]) - other[name]).sum() for name in base))
        for each, other in ((decoded, new), (new, base))
    )
    bits = 8 * len(payload) / sum(array.size for array in base.values())
    assert bits <= limit * _entropy_of_one_step(base, new, lost / whole)
    assert lost / whole == pytest.approx(0.25, rel=0.05)


@pytest.mark.parametrize("size", [1023, 2047, 8191])
@pytest.mark.parametrize("effort", ["fast", "balanced", "small"])
def test_there_is_no_cliff_where_tensors_grow_by_a_value(size, effort):
    sizes = []
    for count in (size, size + 1):
        base, new = _small_tensors(20, (1, count))
        config = DomConfig(effort=effort, vector_error=None)
        sizes.append(len(encode(new, base=base, config=config)) / count)
    assert sizes[1] == pytest.approx(sizes[0], rel=0.05)


def test_headers_of_small_tensors_take_less_than_two_bytes_each():
    base, new = _small_tensors(500, (8, 8))
    assert len(read_envelope(encode(new, base=base)).header) < 2 * len(base)


def test_tensors_that_share_a_step_meet_the_target_together_and_each_within_a_factor():
    rng = np.random.default_rng(4)
    base = {f"t{number}": np.zeros((4, 20), np.float32) for number in range(60)}
    new = {name: (np.exp(rng.normal()) * rng.standard_normal((4, 20))).astype(np.float32) for name in base}
    decoded = decode(encode(new, base=base), base=base)
    errors = [np.linalg.norm(decoded[name] - new[name]) / np.linalg.norm(new[name]) for name in base]
    assert max(errors) < 0.25 * 1.415
    assert len({tensor.step for tensor in inspect(encode(new, base=base), base=base).tensors}) < 40
