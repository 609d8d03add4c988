"""Error feedback telescopes: what was lost in one message is in the next."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fedretina.dom import DomConfig, Version, publish
from fedretina.flower import feedback


def test_only_fitting_floats_are_fed_back():
    model = {"w": np.ones(2, np.float32), "n": np.array(3), "x": np.ones(1, np.float32)}
    got = feedback.add(model, {"w": np.full(2, 0.5, np.float32), "n": np.array(1), "x": np.ones(2, np.float32)})
    assert got["w"].tolist() == [1.5, 1.5]
    assert got["n"] == 3
    assert got["x"] == 1
    assert set(feedback.lost(model, model)) == {"w", "x"}


@given(st.integers(0, 2**32 - 1))
def test_the_sum_of_what_was_sent_follows_the_sum_of_what_was_wanted(seed):
    rng = np.random.default_rng(seed)
    base = Version.of({"w": rng.normal(size=500).astype(np.float32)})
    update = {"w": base.model["w"] + rng.normal(size=500).astype(np.float32) * np.float32(0.01)}
    wanted, sent, residual = 0.0, 0.0, {}
    for _ in range(8):
        with_rest = feedback.add(update, residual)
        version = publish(with_rest, base=base, config=DomConfig(relative_error=0.6)).version
        residual = feedback.lost(with_rest, version.model)
        wanted, sent = wanted + update["w"] - base.model["w"], sent + version.model["w"] - base.model["w"]
        assert np.allclose(wanted - sent, residual["w"], atol=1e-5)
    assert np.linalg.norm(residual["w"]) < 3 * np.linalg.norm(update["w"] - base.model["w"])
