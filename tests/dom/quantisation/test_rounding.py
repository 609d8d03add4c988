"""Stochastic rounding: right in the mean, the same for the same values, and within a step."""

import numpy as np
import pytest

from fedretina.dom import DomConfig, ReferenceStore, Stream, decode, encode, follow
from fedretina.errors import BadArgument


def update(seed, size=(64, 256)):
    return {"w": np.random.default_rng(seed).laplace(scale=1e-3, size=size).astype(np.float32)}


@pytest.mark.parametrize("effort", ["fast", "balanced", "small"])
@pytest.mark.parametrize("step", [1e-3, 4e-3])
def test_every_value_is_within_a_step(effort, step):
    model, base = update(0), {"w": np.zeros((64, 256), np.float32)}
    config = DomConfig(step=step, rounding="stochastic", effort=effort)
    payload = encode(model, base=base, config=config)
    assert payload == encode(model, base=base, config=config)
    assert np.abs(decode(payload, base=base)["w"] - model["w"]).max() <= step * 1.001


def mean_error(rounding, clients=64):
    """Return the relative error of the mean of clients' updates, which are nearly equal, with steps of 8 RMS."""
    common, base = update(0)["w"], {"w": np.zeros((64, 256), np.float32)}
    models = [{"w": common + 1e-5 * update(seed)["w"]} for seed in range(1, clients + 1)]
    config = DomConfig(rms_step=8, rounding=rounding)
    mean = np.mean([decode(encode(model, base=base, config=config), base=base)["w"] for model in models], axis=0)
    return np.linalg.norm(mean - common) / np.linalg.norm(common)


def test_errors_of_coarse_steps_average_out_over_clients():
    assert mean_error("stochastic") < 0.5
    assert mean_error("nearest") > 0.9


def test_a_stream_may_use_it(tmp_path):
    config = DomConfig(lattice=True, rounding="stochastic", relative_error=0.5)
    stream = Stream("s", store=ReferenceStore(tmp_path), config=config)
    for seed in range(3):
        stream.publish(update(seed))
    assert follow(stream.route(None).payloads, base=None) == stream.newest


def test_a_relative_error_is_met():
    model, base = update(0), {"w": np.zeros((64, 256), np.float32)}
    got = decode(encode(model, base=base, config=DomConfig(relative_error=0.4, rounding="stochastic")), base=base)["w"]
    assert np.linalg.norm(got - model["w"]) / np.linalg.norm(model["w"]) == pytest.approx(0.4, rel=0.05)


def test_unknown_roundings_are_refused():
    with pytest.raises(BadArgument, match=r"None \| deadzone \| nearest \| paper \| rdoq \| stochastic"):
        DomConfig(rounding="random")
