import math

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedretina.dom import DomConfig
from fedretina.dom.quantisation.quantise import Pair
from fedretina.dom.quantisation.steps import Step, lattice_step, relative_step
from fedretina.dom.quantisation.trial import Trial
from fedretina.dom.tensors import ulp_exponent

RNG = np.random.default_rng(0)
SHAPES = {
    "normal": RNG.standard_normal(30_000),
    "heavy": RNG.standard_t(2, 30_000),
    "sparse": RNG.standard_normal(30_000) * (RNG.random(30_000) < 0.01),
    "signs": np.sign(RNG.standard_normal(30_000)),
    "one": np.array([3.7]),
}


def _trial(values, config):
    return Trial.of(Pair(values, None), values.shape, config)


@given(st.floats(1e-30, 1e30))
def test_a_step_travels_within_a_fifth_of_a_percent(size):
    assert Step.near(size).size == pytest.approx(size, rel=1 / 500)


def test_the_papers_step_is_the_decimal_number():
    assert [Step(None, bits=bits).size for bits in (0, 3, 7)] == [1.0, 1e-3, 1e-7]


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("target", [0.01, 0.03, 0.25, 0.7])
def test_a_lattice_meets_the_target_within_a_factor_of_the_square_root_of_two(name, target):
    step, found = lattice_step(_trial(SHAPES[name], DomConfig(lattice=True)), target)
    assert step.mantissa == 0
    assert found.offsets == b""
    assert found.error <= target * 1.415
    if name in ("normal", "heavy"):
        assert found.error >= target / 1.45


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("target", [0.01, 0.03, 0.25, 0.7])
@pytest.mark.parametrize("effort", ["fast", "balanced", "small"])
def test_a_one_shot_meets_the_target_within_five_percent(name, target, effort):
    _, found = relative_step(_trial(SHAPES[name], DomConfig(effort=effort)), target)
    assert found.error <= target * 1.05
    if name in ("normal", "heavy"):
        assert found.error >= target * 0.95


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64])
def test_a_lattice_is_no_finer_than_the_largest_values_last_place(dtype):
    base = RNG.standard_normal(4000).astype(dtype)
    new = (base.astype(np.float64) * (1 + 1e-12)).astype(dtype)
    new[:9] = np.nextafter(base[:9].astype(np.float32), np.float32(9)).astype(dtype)
    trial = Trial.of(Pair(new, base), new.shape, DomConfig(lattice=True))
    exponent = ulp_exponent(trial.scale.value, new.dtype)
    largest = np.abs(base).max()
    spacing = float(np.spacing(largest)) if dtype is not ml_dtypes.bfloat16 else 2.0**exponent
    assert math.ldexp(1.0, exponent) == spacing
    if trial.scale.difference:
        step, _ = lattice_step(trial, 0.25)
        assert step.size >= spacing
