import ml_dtypes
import numpy as np
import pytest

from fedretina.dom import DomConfig, decode, encode, inspect
from fedretina.dom.quantisation.lossless import common_unit
from fedretina.dom.quantisation.quantise import Pair

EXACT = DomConfig(lossless=True)
RNG = np.random.default_rng(0)


def _codings(new, base=None):
    payload = encode(new, base=base, config=EXACT)
    back = decode(payload, base=base)
    assert all(back[name].tobytes() == new[name].tobytes() for name in new)
    return {info.name: info.coding for info in inspect(payload, base=base).tensors}


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64])
def test_multiples_of_a_power_of_two_travel_as_integers(dtype):
    base = (RNG.integers(-60, 60, 5000) * 2.0**-9).astype(dtype)
    new = (base.astype(np.float64) + RNG.integers(-3, 4, 5000) * 2.0**-9).astype(dtype)
    assert common_unit(Pair(new, base))[0] == -9
    assert _codings({"w": new}, {"w": base}) == {"w": "steps"}
    assert len(encode({"w": new}, base={"w": base}, config=EXACT)) < 5000 * 3 / 8 + 300


def test_the_unit_is_the_coarsest():
    exponent, integers = common_unit(Pair(np.array([3, -6, 0, 12]) * 2.0**-40, None))
    assert (exponent, integers.tolist()) == (-40, [3, -6, 0, 12])


def test_a_rare_fine_value_makes_the_unit_finer():
    values = RNG.integers(-60, 60, 300_000).astype(np.float32)
    values[123_457] = 2.0**-10
    assert common_unit(Pair(values, None))[0] == -10


def test_values_that_share_no_unit_travel_as_bits():
    assert common_unit(Pair(RNG.standard_normal(5000) * 1e-3, RNG.standard_normal(5000))) is None
    new = RNG.standard_normal(5000)
    assert _codings({"w": new})["w"] in ("bits", "raw")


def test_noise_travels_raw():
    new = RNG.integers(0, 2**64, 5000, dtype=np.uint64)
    assert _codings({"w": new}) == {"w": "raw"}
    assert len(encode({"w": new})) < new.nbytes + 200


def test_negative_zero_survives():
    base = {"w": np.zeros(3000, np.float32)}
    new = {"w": np.where(np.arange(3000) % 7, 0.5, -0.0).astype(np.float32)}
    assert _codings(new, base)["w"] == "bits"
    assert _codings({"w": -base["w"]}, base)["w"] == "bits"


def test_unchanged_and_zero_tensors_cost_nothing():
    base = {"w": RNG.standard_normal(3000)}
    assert _codings(base, base) == {"w": "same"}
    assert _codings({"z": np.zeros(3000, np.float16)}) == {"z": "same"}


def test_integers_wrap_around():
    base = {"n": np.array([2**63 - 1, -(2**63)]), "u": np.array([0, 255], np.uint8), "b": np.array([True, False])}
    new = {"n": np.array([-(2**63), 2**63 - 1]), "u": np.array([255, 0], np.uint8), "b": np.array([False, True])}
    _codings(new, base)
