"""Targets for the error are met within 5 %, whatever the tensor, the target and the effort; predictions may be better."""

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedretina.dom import DomConfig, decode, encode, inspect

TARGETS = [0.01, 0.1, 0.4, 0.7, 0.9, 0.98]
EFFORTS = ["fast", "balanced", "small"]


def draw(kind, shape, rng):
    values = {
        "normal": lambda: rng.standard_normal(shape),
        "laplace": lambda: rng.laplace(size=shape),
        "students": lambda: rng.standard_t(3, size=shape),
        "sparse": lambda: rng.standard_normal(shape) * (rng.random(shape) < 0.1),
        "rows": lambda: rng.standard_normal(shape) * np.exp2(rng.integers(-4, 4, (shape[0], *[1] * (len(shape) - 1)))),
        "low rank": lambda: (
            np.outer(rng.standard_normal(shape[0]), rng.standard_normal(int(np.prod(shape[1:])))).reshape(shape)
            + 0.05 * rng.standard_normal(shape)
        ),
    }
    return 1e-3 * values[kind]()


def check(difference, dtype, config):
    base, new = {"w": np.zeros(difference.shape, dtype)}, {"w": difference.astype(dtype)}
    payload = encode(new, base=base, config=config)
    lost = np.float64(new["w"]) - np.float64(decode(payload, base=base)["w"])
    found = float(np.linalg.norm(lost) / np.linalg.norm(np.float64(new["w"])))
    assert found < 1.055 * config.relative_error
    (tensor,) = inspect(payload, base=base).tensors
    assert tensor.rank or found > 0.945 * config.relative_error


@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize("target", TARGETS)
def test_noise_of_one_size_meets_every_target(effort, target):
    difference = 1e-3 * np.random.default_rng(0).standard_normal((128, 96))
    check(difference, np.float32, DomConfig(relative_error=target, effort=effort))


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["normal", "laplace", "students", "rows", "sparse", "low rank"]),
    st.sampled_from([(64, 48), (16, 8, 3, 3), (700, 4), (9, 300), (2000,)]),
    st.sampled_from([np.float32, np.float64, np.float16, ml_dtypes.bfloat16]),
    st.sampled_from(EFFORTS),
    st.floats(0.01, 0.98),
    st.integers(0, 99),
)
def test_targets_are_met(kind, shape, dtype, effort, target, seed):
    difference = draw(kind, shape, np.random.default_rng(seed))
    config = DomConfig(relative_error=target, effort=effort, vector_error=None)
    check(difference, dtype, config)


@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize("kind", ["normal", "low rank"])
def test_bytes_fall_as_targets_rise(kind, effort):
    difference = draw(kind, (128, 96), np.random.default_rng(1)).astype(np.float32)
    base, new = {"w": np.zeros_like(difference)}, {"w": difference}
    sizes = [len(encode(new, base=base, config=DomConfig(relative_error=target, effort=effort))) for target in TARGETS]
    assert sizes == sorted(sizes, reverse=True)
