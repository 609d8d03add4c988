import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedretina.dom import DomConfig, Version, publish
from fedretina.errors import BadArgument


@settings(max_examples=40, deadline=None)
@given(
    error=st.floats(0.05, 0.95),
    effort=st.sampled_from(["fast", "balanced", "small"]),
    dtype=st.sampled_from([np.float32, np.float64, np.float16, ml_dtypes.bfloat16]),
    size=st.integers(1, 3000),
    rounds=st.integers(1, 8),
    seed=st.integers(0, 2**32),
)
def test_it_telescopes(error, effort, dtype, size, rounds, seed):
    """The sum of what was decoded, and the last residual, is the sum of what was meant."""
    rng = np.random.default_rng(seed)
    base = Version.of({"w": rng.standard_normal(size).astype(dtype), "n": np.array(3)})
    config = DomConfig(relative_error=error, effort=effort)
    residual = None
    meant, decoded = np.zeros(size), np.zeros(size)
    start = base.model["w"].astype(np.float64)
    for _ in range(rounds):
        new = {"w": (start + 0.01 * rng.standard_normal(size)).astype(dtype), "n": np.array(4)}
        made = publish(new, base=base, config=config, residual=residual)
        residual = made.residual
        meant += new["w"].astype(np.float64) - start
        decoded += made.version.model["w"].astype(np.float64) - start
    assert sorted(residual) == ["w"]
    np.testing.assert_allclose(decoded + residual["w"], meant, atol=1e-5 * rounds, rtol=1e-5)


def test_without_feedback_coarse_steps_lose_what_is_small_for_ever():
    """A constant drift in most weights, beside a few large differences: only feedback ever sends it."""
    rng = np.random.default_rng(0)
    drift = np.where(rng.random(4000) < 0.02, 1.0, 0.01) * 1e-2
    reached = {}
    for feedback in (True, False):
        version, residual, aim = Version.of({"w": np.zeros(4000, np.float32)}), None, np.zeros(4000)
        for _ in range(60):
            aim = aim + drift
            new = {"w": (version.model["w"] + drift).astype(np.float32)}
            made = publish(new, base=version, config=DomConfig(relative_error=0.7, vector_error=None), residual=residual)
            version, residual = made.version, made.residual if feedback else None
        reached[feedback] = np.linalg.norm(version.model["w"] - aim) / np.linalg.norm(aim)
    assert reached[True] < 0.25 * reached[False]


def test_tensors_that_come_and_go_leave_no_trace():
    old = {"gone": np.ones(5, np.float32), "kept": np.ones(5, np.float32)}
    new = {"kept": np.full(5, 2, np.float32), "added": np.ones(4, np.float32)}
    made = publish(new, base=None, residual=old)
    assert sorted(made.residual) == ["added", "kept"]
    np.testing.assert_allclose(made.version.model["kept"], 3, rtol=0.05)


def test_a_residual_of_another_shape_is_refused():
    with pytest.raises(BadArgument, match=r"residual 'w' has shape \(3,\), the tensor \(4,\)"):
        publish({"w": np.ones(4, np.float32)}, base=None, residual={"w": np.ones(3, np.float32)})
