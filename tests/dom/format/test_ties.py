"""Tensors of equal bits travel once."""

import numpy as np
import pytest

from fedretina.dom import DomConfig, Version, accept, decode, encode, inspect, publish

RNG = np.random.default_rng(0)
OLD = RNG.standard_normal((90, 40)).astype(np.float32)
NEW = (OLD + 1e-3 * RNG.standard_normal(OLD.shape)).astype(np.float32)
BASE = {"embedding": OLD, "head": OLD.copy(), "other": OLD[:20]}
MODEL = {"embedding": NEW, "head": NEW.copy(), "other": NEW[:20]}
CONFIGS = [DomConfig(), DomConfig(lossless=True), DomConfig(lattice=True), DomConfig(effort="small"), DomConfig(step=1e-3)]


def _codings(payload, base=None):
    return {tensor.name: tensor.coding for tensor in inspect(payload, base=base).tensors}


@pytest.mark.parametrize("base", [None, BASE], ids=["keyframe", "delta"])
@pytest.mark.parametrize("config", [*CONFIGS, DomConfig(budget_bytes=9000)], ids=str)
def test_tied_tensors_travel_once(config, base):
    held = None if base is None else Version.of(base)
    if held is None and config.budget_bytes:
        config = DomConfig(budget_bytes=20_000)
    made = publish(MODEL, base=held, config=config)
    assert _codings(made.payload, base)["head"] == "tied"
    arrived = accept(made.payload, base=held)
    assert arrived == made.version
    assert np.array_equal(arrived.model["head"], arrived.model["embedding"])
    if not config.budget_bytes:
        once = [{name: model[name] for name in ("embedding", "other")} for model in (MODEL, BASE)]
        alone = encode(once[0], base=None if base is None else once[1], config=config)
        assert len(made.payload) < len(alone) + 60


def test_decoded_tensors_share_no_memory():
    decoded = decode(encode(MODEL, base=BASE), base=BASE)
    decoded["head"][0] = 7
    assert not np.shares_memory(decoded["head"], decoded["embedding"])


@pytest.mark.parametrize(
    ("model", "base"),
    [
        (MODEL, BASE | {"head": OLD + 1}),  # whoever holds another base gets another result
        (MODEL | {"head": NEW.reshape(40, 90)}, None),
        (MODEL | {"head": NEW.view(np.int32)}, None),
        (MODEL | {"head": np.where(NEW[5, 5] == NEW, 0, NEW)}, None),
    ],
)
def test_others_do_not(model, base):
    assert "tied" not in _codings(encode(model, base=base), base).values()


def test_zeros_of_two_signs_are_not_tied():
    model = {"a": np.zeros((10, 10), np.float32), "b": np.full((10, 10), -0.0, np.float32)}
    assert "tied" not in _codings(encode(model)).values()


def test_an_exact_tensor_is_not_tied_to_one_that_may_lose():
    config = DomConfig(lossy_tensors=("*", "!head"))
    decoded = decode(encode(MODEL, base=BASE, config=config), base=BASE)
    assert decoded["head"].tobytes() == NEW.tobytes()
    assert decoded["embedding"].tobytes() != NEW.tobytes()


def test_version_1_has_no_ties():
    assert "tied" not in _codings(encode(MODEL, base=BASE, config=DomConfig(format=1)), BASE).values()
