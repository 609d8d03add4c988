"""The compiled loops give the same bits as NumPy: each loop, and whole payloads."""

import os
import shutil
import subprocess
import sys
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedretina.dom import DomConfig, Version, accept, decode, encode, publish
from fedretina.dom.kernels import ROUNDINGS, kernels, library
from fedretina.dom.prediction.factors import Factors, predict
from fedretina.dom.prediction.lanczos import Krylov
from fedretina.dom.quantisation.predicted import Predictor
from fedretina.dom.quantisation.quantise import Pair, quantise
from fedretina.dom.quantisation.restore import restore
from fedretina.dom.quantisation.rounding import Rounder
from fedretina.dom.quantisation.steps import relative_step
from fedretina.dom.quantisation.trial import Trial

compiled = pytest.mark.skipif(kernels() is None, reason="no compiled loops here")
USERS = (
    "fedretina.dom.prediction.lanczos",
    "fedretina.dom.prediction.factors",
    "fedretina.dom.quantisation.quantise",
    "fedretina.dom.quantisation.restore",
    "fedretina.dom.quantisation.trial",
)


@contextmanager
def numpy_only():
    patches = [mock.patch(f"{room}.kernels", return_value=None) for room in USERS]
    for patch in patches:
        patch.start()
    try:
        yield
    finally:
        for patch in patches:
            patch.stop()


def both(function):
    """What a function returns with the compiled loops, and with NumPy."""
    with numpy_only():
        expected = function()
    return function(), expected


def same(left, right):
    return left.dtype == right.dtype and left.tobytes() == right.tobytes()


def low_rank(rng, shape, rank=3, noise=0.1):
    left, right = rng.standard_normal((shape[0], rank)), rng.standard_normal((rank, shape[1]))
    return (left @ right + noise * rng.standard_normal(shape)).astype(np.float32)


def test_an_install_beside_a_compiler_has_the_loops():
    assert kernels() is not None or shutil.which("cc") is None


def test_the_environment_switches_them_off():
    code = "from fedretina.dom.kernels import kernels; print(kernels())"
    environment = {**os.environ, library.SWITCH: "0"}
    found = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert found.stdout == "None\n"


def test_a_library_of_another_release_is_not_used(monkeypatch):
    monkeypatch.setattr(library, "_RELEASE", -1)
    assert library.kernels.__wrapped__() is None


@compiled
@settings(max_examples=40, deadline=None)
@given(st.integers(1, 70), st.integers(1, 90), st.integers(0, 99), st.sampled_from([0.0, 1e-7, 0.1, 3.0]))
def test_singular_vectors(height, width, seed, noise):
    matrix = low_rank(np.random.default_rng(seed), (height, width), noise=noise)
    matrix /= max(np.abs(matrix).max(), 1e-30)

    def find():
        space = Krylov(matrix.copy())
        return [space.svd(5), space.svd(20)]

    for found, expected in zip(*both(find), strict=True):
        assert same(found.values, expected.values)
        assert same(found.left, expected.left)
        assert same(found.right, expected.right)


@compiled
@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(1, 40), st.integers(1, 600), st.integers(1, 12)),
    st.integers(0, 99),
    st.sampled_from([None, -9, -30]),
    st.booleans(),
)
def test_predictions(sizes, seed, unit, has_base):
    height, width, rank = sizes
    rng = np.random.default_rng(seed)
    left, right = rng.integers(-2000, 2000, (rank, height)), rng.integers(-2000, 2000, (rank, width))
    factors = Factors(left, right, tuple(rng.integers(-30, 3, rank).tolist()), unit)
    base = rng.standard_normal(height * width).astype(np.float32) if has_base else None
    assert same(*both(lambda: predict(factors, base, dtype=np.dtype(np.float32))))


@compiled
def test_predictions_beyond_float32_stay_finite():
    factors = Factors(np.full((1, 8), 2**20), np.full((1, 16), -(2**20)), (200,))
    found, expected = both(lambda: predict(factors, None, dtype=np.dtype(np.float32)))
    assert same(found, expected)
    assert (found == -np.finfo(np.float32).max).all()


def trial_of(new, base, *, predicted=True, rank=None, **settings):
    config = DomConfig(**settings)
    trial = Trial.of(Pair.of(new, base), new.shape, config)
    if not predicted:
        return trial
    largest, rounding = trial.scale.difference, trial.rounder.kind
    predictor = Predictor.of(trial.pair, new.shape, largest=largest, coarsest=1.0, rounding=rounding)
    assert predictor is not None
    return replace(trial, predictor=predictor if rank is None else replace(predictor, rank=rank))


@compiled
@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("effort", ["fast", "balanced"])
@pytest.mark.parametrize(("predicted", "rank"), [(False, None), (True, None), (True, 2), (True, 0)])
@pytest.mark.parametrize("shape", [(40, 60), (128, 300)])
def test_the_search_for_a_step(shape, predicted, rank, effort, rounding):
    rng = np.random.default_rng(4)
    base = rng.standard_normal(shape).astype(np.float32)
    new = base + np.float32(0.01) * low_rank(rng, shape, noise=0.4)

    def search():
        trial = trial_of(new, base, predicted=predicted, rank=rank, effort=effort, rounding=rounding)
        found = [trial.estimate(2.0**exponent) for exponent in range(-14, 0)]
        return [*found, trial.estimate(0.0123), *(relative_step(trial, target)[0].size for target in (0.02, 0.3, 0.8))]

    found, expected = both(search)
    assert found == expected
    assert found[0] < found[-4]


@compiled
def test_a_sample_without_a_difference_has_no_error():
    values = np.random.default_rng(4).standard_normal((64, 64)).astype(np.float32)
    trial = trial_of(values, values, predicted=False)
    assert trial.compiled_sample is None
    assert trial.estimate(1.0) == 0


@compiled
@pytest.mark.parametrize("size", [1, 7, 64, 70_000])
def test_differences(size):
    rng = np.random.default_rng(size)
    pair = Pair.of(*(rng.standard_normal(size).astype(np.float32) for _ in range(2)))
    assert same(*both(lambda: pair.scaled(pair.largest())))
    found, expected = both(lambda: pair.largest(np.float32))
    assert found == expected


@compiled
@pytest.mark.parametrize("kind", ROUNDINGS)
@pytest.mark.parametrize("offsets", [b"", bytes([250, 3, 7])])
@pytest.mark.parametrize(("step", "width"), [(0.8, 1), (0.01, 2)])
@pytest.mark.parametrize("keep", [False, True])
def test_quantised_tensors(kind, offsets, step, width, keep):
    rng = np.random.default_rng(5)
    base = rng.standard_normal(70_003).astype(np.float32)
    new = base + (rng.standard_t(3, base.size) * 3).clip(-90, 90).astype(np.float32)
    new[:2] = base[:2] + np.float32([step / 2, -step / 2])
    pair, rounder = Pair.of(new, base), Rounder(kind, 0.3)
    largest = pair.largest()

    def find():
        return quantise(pair, step=step, largest=largest, rounder=rounder, offsets=offsets, work=np.float32, keep=keep)

    found, expected = both(find)
    assert found.integers.itemsize == width
    assert same(found.integers, expected.integers)
    assert (found.digest, found.energy, found.squared_error) == (expected.digest, expected.energy, expected.squared_error)
    assert (found.restored is not None) == keep
    assert not keep or same(found.restored, expected.restored)


@compiled
@pytest.mark.parametrize("dtype", [np.int8, np.int16])
@pytest.mark.parametrize("offsets", [b"", bytes([250, 3, 7])])
@pytest.mark.parametrize("base", [None, 1.0, 3e38])
def test_restored_values(dtype, offsets, base):
    rng = np.random.default_rng(7)
    integers = rng.integers(-128, 128, 5001).astype(dtype)
    old = None if base is None else (base * rng.standard_normal(integers.size).clip(-1, 1)).astype(np.float32)

    def put():
        return restore(old, integers, step=1e36 if base == 3e38 else 0.37, offsets=offsets, out=np.empty(5001, np.float32))

    found, expected = both(put)
    assert same(found, expected)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("switch", [numpy_only, nullcontext], ids=["numpy", "default"])
def test_values_are_restored_over_their_base(switch):
    base = np.arange(9, dtype=np.float32)
    with switch():
        expected = restore(base.copy(), np.ones(9, np.int8), step=0.5, out=np.empty(9, np.float32))
        found = restore(base, np.ones(9, np.int8), step=0.5, out=base)
    assert found is base
    assert same(found, expected)


CONFIGS = [
    *(DomConfig(effort=effort) for effort in ("fast", "balanced", "small")),
    *(DomConfig(relative_error=error) for error in (0.01, 0.9)),
    DomConfig(lattice=True),
    DomConfig(rounding="nearest", rms_step=1.0),
    DomConfig(rounding="paper", bits=3),
    DomConfig(rounding="stochastic"),
    DomConfig(rotated=True, rms_step=1.0),
    DomConfig(budget_bytes=9000),
    DomConfig(lossless=True),
]


@compiled
@pytest.mark.parametrize("config", CONFIGS, ids=repr)
def test_payloads(config, residual_cnn, trained, identical):
    base = residual_cnn()
    new = trained(base)
    rng = np.random.default_rng(8)
    base["head.weight"] = rng.standard_normal((96, 128)).astype(np.float32)
    new["head.weight"] = base["head.weight"] + 0.01 * low_rank(rng, (96, 128))
    payload, expected = both(lambda: encode(new, base=base, config=config))
    assert payload == expected
    assert identical(*both(lambda: decode(payload, base=base)))


@compiled
def test_memory_that_is_not_aligned_is_copied(identical):
    """Arrays of a file without padding lie at any address, where C may not read floats."""
    rng = np.random.default_rng(9)
    values = rng.standard_normal((64, 64)).astype(np.float32)
    shifted = np.frombuffer(b"x" + values.tobytes(), np.float32, offset=1).reshape(64, 64)
    assert not shifted.flags.aligned
    new = {"w": values + 0.01 * low_rank(rng, (64, 64))}
    payload = encode(new, base={"w": shifted})
    assert payload == encode(new, base={"w": values})
    assert identical(decode(payload, base={"w": shifted}), decode(payload, base={"w": values}))
    held = Version({"w": shifted}, Version.of({"w": values}).digest)
    assert identical(accept(payload, base=held).model, decode(payload, base={"w": values}))
    assert publish(new, base=held).payload == payload


@compiled
def test_arrays_that_c_may_not_read_are_refused():
    with pytest.raises(TypeError, match="got float64; allowed: float32, contiguous"):
        kernels().largest_difference(np.zeros(3), np.zeros(3))
    with pytest.raises(TypeError, match="contiguous"):
        kernels().largest_difference(np.zeros(6, np.float32)[::2], np.zeros(3, np.float32))
