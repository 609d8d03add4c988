import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedretina.dom import DomConfig, decode, encode
from fedretina.dom.quantisation.vectors import is_vector, scale_of

EFFORTS = ("fast", "balanced", "small")
CONFIGS = [DomConfig(effort=effort, lattice=lattice) for effort in EFFORTS for lattice in (False, True)]
CONFIGS += [DomConfig(bits=3), DomConfig(budget_bytes=4000), DomConfig(relative_error=0.9)]
LABEL = "{0.effort}-{0.lattice}-{0.bits}-{0.budget_bytes}-{0.relative_error}".format


def model(seed=0, *, channels=64):
    """A layer with BatchNorm behind it, before and after a round in which variances fell from 1 to about .05."""
    rng = np.random.default_rng(seed)
    base = {
        "fc.weight": rng.normal(size=(channels, 32)) * 0.1,
        "bn.weight": np.ones(channels),
        "bn.bias": np.zeros(channels),
        "bn.running_mean": np.zeros(channels),
        "bn.running_var": np.ones(channels),
    }
    new = {
        "fc.weight": base["fc.weight"] + rng.normal(size=(channels, 32)) * 1e-3,
        "bn.weight": 1 + rng.normal(size=channels) * 0.02,
        "bn.bias": rng.normal(size=channels) * 0.02,
        "bn.running_mean": rng.normal(size=channels),
        "bn.running_var": 0.05 * rng.gamma(2, size=channels) + 1e-4,
    }
    return tuple({name: np.asarray(array, np.float32) for name, array in each.items()} for each in (base, new))


@pytest.mark.parametrize("config", CONFIGS, ids=LABEL)
@pytest.mark.parametrize("with_base", [True, False])
def test_variances_stay_positive_and_right(config, with_base):
    base, new = model()
    held = base if with_base else None
    back = decode(encode(new, base=held, config=config), base=held)
    assert (back["bn.running_var"] > 0).all()
    np.testing.assert_allclose(back["bn.running_var"], new["bn.running_var"], rtol=0.01)


@pytest.mark.parametrize("config", CONFIGS, ids=LABEL)
def test_vectors_meet_their_error_from_below(config):
    base, new = model(1)
    back = decode(encode(new, base=base, config=config), base=base)
    for name in new:
        if is_vector(new[name].shape):
            lost = np.linalg.norm(back[name] - new[name]) / np.linalg.norm(new[name] - base[name])
            assert lost <= 1.3 * config.vector_error, name


def test_small_updates_of_large_values_are_not_lost():
    base = {"norm.weight": np.ones(64, np.float32), "fc": np.zeros((64, 64), np.float32)}
    new = {"norm.weight": base["norm.weight"] + np.linspace(-1, 1, 64, dtype=np.float32) * 1e-5, "fc": base["fc"] + 0.01}
    moved = decode(encode(new, base=base), base=base)["norm.weight"] - base["norm.weight"]
    assert np.corrcoef(moved, new["norm.weight"] - base["norm.weight"])[0, 1] > 0.999


def test_features_of_very_different_scales_are_all_right():
    """The first layer is BatchNorm on a table: one column in millions, one in thousandths."""
    base = {"running_mean": np.zeros(4, np.float32), "running_var": np.ones(4, np.float32)}
    new = {
        "running_mean": np.array([4.1e6, -0.0021, 17.3, 0.3], np.float32),
        "running_var": np.array([9.7e11, 3.1e-6, 80.0, 0.1], np.float32),
    }
    for config in (DomConfig(), DomConfig(lattice=True)):
        back = decode(encode(new, base=base, config=config), base=base)
        for name, values in new.items():
            np.testing.assert_allclose(back[name], values, rtol=0.01)


@given(
    st.sampled_from([np.float16, np.float32, np.float64]),
    st.integers(1, 300),
    st.integers(0, 2**32 - 1),
    st.floats(-6, 6),
    st.floats(-6, 6),
    st.sampled_from(CONFIGS[:6]),
)
def test_any_vector_of_positive_values_stays_positive(dtype, size, seed, low, high, config):
    rng = np.random.default_rng(seed)
    old, new = (np.exp2(rng.uniform(min(low, high), max(low, high), size)).astype(dtype) for _ in range(2))
    back = decode(encode({"v": new}, base={"v": old}, config=config), base={"v": old})["v"]
    assert (back > 0).all()
    np.testing.assert_allclose(back.astype(np.float64), new.astype(np.float64), rtol=0.02)


def test_without_a_vector_error_vectors_are_as_coarse_as_the_rest():
    base, new = model(2)
    config = DomConfig(vector_error=None)
    back = decode(encode(new, base=base, config=config), base=base)["bn.bias"]
    assert 0.2 < np.linalg.norm(back - new["bn.bias"]) / np.linalg.norm(new["bn.bias"]) < 0.3


def test_a_budget_that_fine_vectors_would_burst_is_met_without_them():
    rng = np.random.default_rng(0)
    new = {f"bias{i}": rng.normal(size=500).astype(np.float32) for i in range(20)} | {"w": np.ones((50, 50)) * 0.3}
    assert len(encode(new, config=DomConfig(budget_bytes=3000))) <= 3000


@pytest.mark.parametrize("config", CONFIGS, ids=LABEL)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_whole_numbers_in_floats_survive(config, dtype):
    new = {
        "histogram": np.array([[120, 3, 0], [1, 57, 2]], dtype),
        "identifiers": np.array([[20260101 % 2**24], [20260102 % 2**24]], dtype),
        "ternary": np.sign(np.random.default_rng(0).normal(size=(40, 40))).astype(dtype),
    }
    base = {"histogram": np.ones((2, 3), dtype), "ternary": np.full((40, 40), 0.5, dtype)}
    for held in (None, base):
        back = decode(encode(new, base=held, config=config), base=held)
        assert all(np.array_equal(back[name], new[name]) for name in new)


def test_patterns_name_what_may_lose():
    base, new = model(3)
    config = DomConfig(lossy_tensors=("fc.*",))
    back = decode(encode(new, base=base, config=config), base=base)
    assert all(np.array_equal(back[name], new[name]) == (name != "fc.weight") for name in new)
    assert DomConfig.from_json(config.to_json()) == config


def test_scales():
    assert scale_of(np.zeros(3), version=2) == 0
    assert scale_of(np.array([-4.0, -0.5, 0]), version=2) == 0.5
    assert scale_of(np.linspace(-1, 1, 41), version=2) > 0.01


def test_values_that_happen_to_be_near_zero_need_no_finer_steps():
    biases = np.random.default_rng(0).standard_normal(1000)
    assert scale_of(biases, version=1) < 0.1
    assert scale_of(biases, version=2) == pytest.approx(0.32, rel=0.1)
    columns = np.concatenate([biases, 1e4 * biases[:500]])  # of a table: of two sizes
    assert scale_of(columns, version=2) == scale_of(columns, version=1)


def test_biases_take_about_seven_bits_a_value():
    rng = np.random.default_rng(0)
    base = {f"{number}.bias": 0.008 * rng.standard_normal(256).astype(np.float32) for number in range(20)}
    new = {name: values + np.float32(0.0015) * rng.standard_normal(256).astype(np.float32) for name, values in base.items()}
    assert 8 * len(encode(new, base=base)) < 8 * 20 * 256
