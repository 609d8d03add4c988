import math

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedretina.dom import DomConfig
from fedretina.dom.quantise import Pair
from fedretina.dom.steps import LatticeStep, RelativeStep, Scale, Step, ulp_exponent

RNG = np.random.default_rng(0)
SHAPES = {
    "normal": RNG.standard_normal(30_000),
    "heavy": RNG.standard_t(2, 30_000),
    "sparse": RNG.standard_normal(30_000) * (RNG.random(30_000) < 0.01),
    "signs": np.sign(RNG.standard_normal(30_000)),
    "one": np.array([3.7]),
}


@given(st.floats(1e-30, 1e30))
def test_a_step_travels_within_a_fifth_of_a_percent(size):
    assert Step.near(size).size == pytest.approx(size, rel=1 / 500)


def test_the_papers_step_is_the_decimal_number():
    assert [Step(None, bits=bits).size for bits in (0, 3, 7)] == [1.0, 1e-3, 1e-7]


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("target", [0.01, 0.03, 0.25, 0.7])
def test_a_lattice_meets_the_target_within_a_factor_of_the_square_root_of_two(name, target):
    pair = Pair(SHAPES[name], None)
    step, found = LatticeStep(DomConfig(lattice=True))(pair, Scale.of(pair), target)
    assert step.mantissa == 0
    assert found.offsets == b""
    assert found.error <= target * 1.415
    if name in ("normal", "heavy"):
        assert found.error >= target / 1.45


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("target", [0.01, 0.03, 0.25, 0.7])
def test_a_one_shot_meets_the_target_within_five_percent(name, target):
    pair = Pair(SHAPES[name], None)
    _, found = RelativeStep(DomConfig(), centre=False)(pair, Scale.of(pair), target)
    assert found.error <= target * 1.05
    if name in ("normal", "heavy"):
        assert found.error >= target * 0.95


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64])
def test_a_lattice_is_no_finer_than_the_largest_values_last_place(dtype):
    base = RNG.standard_normal(4000).astype(dtype)
    new = (base.astype(np.float64) * (1 + 1e-12)).astype(dtype)
    new[:9] = np.nextafter(base[:9].astype(np.float32), np.float32(9)).astype(dtype)
    pair = Pair(new, base)
    scale = Scale.of(pair)
    exponent = ulp_exponent(scale.value, pair.new.dtype)
    largest = np.abs(base).max()
    spacing = float(np.spacing(largest)) if dtype is not ml_dtypes.bfloat16 else 2.0**exponent
    assert math.ldexp(1.0, exponent) == spacing
    if scale.difference:
        step, _ = LatticeStep(DomConfig(lattice=True))(pair, scale, 0.25)
        assert step.size >= spacing
