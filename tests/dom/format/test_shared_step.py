"""One step for all differences: absolute, or a multiple of their RMS."""

import numpy as np
import pytest

from fedretina.dom import DomConfig, decode, encode, inspect, publish
from fedretina.errors import BadArgument

RNG = np.random.default_rng(0)
SHAPES = {"a": (100, 90), "b": (30, 30), "c": (64, 16, 3, 3), "bias": (90,)}
BASE = {name: RNG.standard_normal(shape).astype(np.float32) for name, shape in SHAPES.items()}
SIZES = {"a": 1e-3, "b": 1e-2, "c": 3e-3, "bias": 1e-3}
NEW = {name: (array + SIZES[name] * RNG.standard_normal(array.shape)).astype(np.float32) for name, array in BASE.items()}
WIDE = ("a", "b", "c")


def steps_of(payload):
    return {tensor.name: tensor.step for tensor in inspect(payload, base=BASE).tensors}


@pytest.mark.parametrize("step", [0.0017, 0.01, 3e-5])
@pytest.mark.parametrize("effort", ["fast", "balanced", "small"])
def test_all_differences_get_the_step_and_lose_at_most_half_of_it(step, effort):
    payload = encode(NEW, base=BASE, config=DomConfig(step=step, effort=effort))
    decoded, steps = decode(payload, base=BASE), steps_of(payload)
    for name in WIDE:
        if name in steps and steps[name] is not None:
            assert steps[name] == pytest.approx(step, rel=0.003)
        assert np.abs(decoded[name] - NEW[name]).max() <= 0.5 * step * 1.01 + 1e-6


def test_a_multiple_of_the_rms_is_one_of_all_differences_together():
    differences = np.concatenate([(NEW[name].astype(float) - BASE[name]).ravel() for name in WIDE])
    rms = np.sqrt(np.mean(differences**2))
    steps = steps_of(encode(NEW, base=BASE, config=DomConfig(rms_step=0.5)))
    (step,) = {steps[name] for name in WIDE}
    assert step == pytest.approx(0.5 * rms, rel=0.003)


def test_vectors_keep_their_own_finer_step():
    payload = encode(NEW, base=BASE, config=DomConfig(step=0.01))
    assert steps_of(payload)["bias"] < 1e-3


def vectors(*, tiny=False):
    """A transformer's norms and biases in a round; with `tiny`, a third of each bias does nothing."""
    rng = np.random.default_rng(1)
    sizes = np.repeat([1e-3, 1.0, 1.0], 128) if tiny else np.ones(384)
    matrices = {"w": 0.1 * rng.standard_normal((128, 128))}
    base = matrices | {f"{n}.bias": 0.01 * sizes * rng.standard_normal(384) for n in range(6)}
    base |= {f"{n}.weight": 1 + 0.05 * rng.standard_normal(384) for n in range(6)}
    new = {name: values + 2e-3 * rng.standard_normal(values.shape) for name, values in base.items()}
    new |= {name: base[name] + 2e-3 * sizes * rng.standard_normal(384) for name in base if name.endswith("bias")}
    return [{name: values.astype(np.float32) for name, values in model.items()} for model in (base, new)]


def relative_errors(new, base, decoded):
    return {name: np.linalg.norm(decoded[name] - new[name]) / np.linalg.norm(new[name] - base[name]) for name in new}


@pytest.mark.parametrize(("rms_step", "most"), [(0.05, 0.012), (0.5, 0.08), (2.0, 0.26), (20.0, 0.26)])
@pytest.mark.parametrize("lattice", [False, True])
def test_the_error_of_vectors_follows_the_step_and_has_a_bound(rms_step, most, lattice):
    base, new = vectors()
    decoded = decode(encode(new, base=base, config=DomConfig(rms_step=rms_step, lattice=lattice)), base=base)
    errors = relative_errors(new, base, decoded)
    assert all(error <= most for name, error in errors.items() if name != "w")


@pytest.mark.parametrize("tiny", [False, True])
def test_coarse_vectors_take_three_bits_a_value_and_a_half(tiny):
    base, new = vectors(tiny=tiny)
    names = [name for name in base if name != "w"]
    base, new = ({"w": model["w"], **{name: model[name] for name in names}} for model in (base, new))
    whole = len(encode(new, base=base, config=DomConfig(rms_step=2.0)))
    still = len(encode(new | {name: base[name] for name in names}, base=base, config=DomConfig(rms_step=2.0)))
    assert 8 * (whole - still) <= 3.5 * 384 * len(names)


def test_variances_stay_positive_beside_coarse_steps():
    rng = np.random.default_rng(2)
    base = {"w": np.zeros((64, 64), np.float32), "var": np.ones(64, np.float32)}
    new = {"w": rng.standard_normal((64, 64)).astype(np.float32), "var": (0.002 + 0.1 * rng.random(64)).astype(np.float32)}
    decoded = decode(encode(new, base=base, config=DomConfig(rms_step=3.0)), base=base)["var"]
    np.testing.assert_allclose(decoded, new["var"], rtol=0.02)


def test_on_the_lattice_it_is_a_power_of_two():
    published = publish(NEW, base=None, config=DomConfig(lattice=True, step=0.003))
    assert inspect(published.payload).lattice
    payload = encode(NEW, base=BASE, config=DomConfig(lattice=True, step=0.003))
    assert {steps_of(payload)[name] for name in WIDE} == {2.0**-8}


def test_keyframes_stay_relative():
    steps = {
        tensor.name: tensor.error for tensor in inspect(encode(NEW, config=DomConfig(step=10.0, keyframe_error=0.2))).tensors
    }
    assert steps["a"] == pytest.approx(0.2 * np.sqrt(9000 / 2**16), rel=0.1)


def test_no_difference_has_no_rms():
    assert not any(steps_of(encode(BASE, base=BASE, config=DomConfig(rms_step=1.0))).values())


@pytest.mark.parametrize("other", [{"bits": 3}, {"budget_bytes": 999}, {"lossless": True}])
@pytest.mark.parametrize("field", ["step", "rms_step"])
def test_other_targets_are_excluded(field, other):
    with pytest.raises(BadArgument, match=field):
        DomConfig(**{field: 0.5}, **other)


@pytest.mark.parametrize("value", [0, -1.0, float("inf"), float("nan"), "0.5rms", True])
def test_steps_are_positive_numbers(value):
    with pytest.raises(BadArgument):
        DomConfig(step=value)


@pytest.mark.parametrize("size", [1e-200, 1e200])
@pytest.mark.parametrize("config", [DomConfig(), DomConfig(rms_step=2.0), DomConfig(rms_step=4.0, rotated=True)])
def test_values_whose_squares_leave_float64_travel_exactly_beside_others(size, config):
    random = np.random.default_rng(7)
    base = {"far": random.standard_normal((60, 50)) * size, "near": random.standard_normal((60, 50))}
    new = {"far": base["far"] * 1.1, "near": base["near"] + random.standard_normal((60, 50)) * 0.01}
    decoded = decode(encode(new, base=base, config=config), base=base)
    assert np.array_equal(decoded["far"], new["far"])
    assert not np.array_equal(decoded["near"], new["near"])
