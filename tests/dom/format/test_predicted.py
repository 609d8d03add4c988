"""Format version 2: differences of low rank are predicted by factors, where that pays."""

from dataclasses import replace

import ml_dtypes
import numpy as np
import pytest

from fedretina.dom import DomConfig, Version, accept, decode, encode, inspect, publish
from fedretina.dom.format.envelope import read_envelope
from fedretina.dom.format.header import read_header


def low_rank(shape=(256, 192), rank=6, noise=0.1, seed=0, scale=1e-3):
    rng = np.random.default_rng(seed)
    product = rng.standard_normal((shape[0], rank)) @ rng.standard_normal((rank, int(np.prod(shape[1:])))) / np.sqrt(rank)
    return scale * (product.reshape(shape) + noise * rng.standard_normal(shape))


def models(dtype=np.float32, shape=(256, 192), **options):
    base = np.random.default_rng(9).standard_normal(shape)
    scale = options.pop("scale", 0.1 if np.dtype(dtype).itemsize == 2 else 1e-3)
    return {"w": base.astype(dtype)}, {"w": (base + low_rank(shape, scale=scale, **options)).astype(dtype)}


def error(new, base, decoded):
    difference, lost = (np.float64(new["w"]) - np.float64(other["w"]) for other in (base, decoded))
    return np.linalg.norm(lost) / np.linalg.norm(difference)


@pytest.mark.parametrize("effort", ["fast", "balanced", "small"])
@pytest.mark.parametrize("target", [0.05, 0.25])
def test_low_rank_takes_far_fewer_bytes_at_the_same_error(effort, target):
    base, new = models()
    config = DomConfig(effort=effort, relative_error=target)
    second, first = (encode(new, base=base, config=replace(config, format=version)) for version in (2, 1))
    assert inspect(second).format_version == 2
    assert inspect(second, base=base).tensors[0].rank >= 5
    assert len(second) < (0.8 if target < 0.1 else 0.25) * len(first)
    assert error(new, base, decode(second, base=base)) < 1.1 * target


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize("shape", [(256, 192), (64, 48, 4, 4), (40, 4, 9), (1024, 8)])
def test_maker_and_receiver_hold_the_same_bits(dtype, shape, identical):
    base, new = models(dtype, shape, rank=2)
    held = Version.of(base)
    published = publish(new, base=held)
    assert inspect(published.payload).format_version == 2
    received = accept(published.payload, base=held)
    assert received == published.version
    assert identical(received.model, published.version.model)
    assert error(new, base, received.model) == pytest.approx(published.error, rel=1e-3)


@pytest.mark.parametrize("target", [0.1, 0.25, 0.5, 0.7, 0.9])
@pytest.mark.parametrize("shape", [(256, 192), (512, 8)])
def test_small_takes_no_more_bytes_than_balanced(shape, target):
    base, new = models(shape=shape, noise=0.3)
    sizes = {}
    for effort in ("balanced", "small"):
        payload = encode(new, base=base, config=DomConfig(relative_error=target, effort=effort))
        assert error(new, base, decode(payload, base=base)) < 1.051 * target
        sizes[effort] = len(payload)
    assert sizes["small"] < 1.01 * sizes["balanced"] + 8


@pytest.mark.parametrize("effort", ["fast", "balanced", "small"])
def test_differences_without_low_rank_stay_in_version_1(effort):
    rng = np.random.default_rng(3)
    base = {"w": rng.standard_normal((200, 200)).astype(np.float32)}
    new = {"w": base["w"] + np.float32(1e-3) * rng.standard_normal((200, 200)).astype(np.float32)}
    first = encode(new, base=base, config=DomConfig(effort=effort, format=1))
    assert encode(new, base=base, config=DomConfig(effort=effort)) == first


def test_version_1_is_written_for_receivers_that_know_no_other():
    base, new = models()
    assert inspect(encode(new, base=base, config=DomConfig(format=1))).format_version == 1


@pytest.mark.parametrize("effort", ["fast", "balanced", "small"])
@pytest.mark.parametrize("options", [{}, {"relative_error": 0.6}, {"bits": 3}, {"lattice": True}, {"rms_step": 1.0}])
def test_what_has_no_low_rank_takes_no_more_bytes_than_in_version_1(residual_cnn, trained, effort, options):
    base = residual_cnn()
    new = trained(base)
    first, second = (
        encode(new, base=base, config=DomConfig(effort=effort, format=version, **options)) for version in (1, 2)
    )
    assert len(second) <= 1.01 * len(first)


def test_threads_change_no_byte():
    base, new = models()
    base["v"], new["v"] = base["w"] * 2, new["w"] * 2
    assert encode(new, base=base, threads=1) == encode(new, base=base, threads=4)


def test_a_difference_of_exact_rank_needs_no_residual():
    base, new = models(noise=0, rank=2)
    (info,) = inspect(encode(new, base=base), base=base).tensors
    assert (info.coding, info.rank) == ("predicted", 2)


def test_budgets_are_kept_with_predictions():
    base, new = models()
    for budget in (1500, 6000, 30000):
        payload = encode(new, base=base, config=DomConfig(budget_bytes=budget))
        assert len(payload) <= budget
        first = encode(new, base=base, config=DomConfig(budget_bytes=budget, format=1))
        assert error(new, base, decode(payload, base=base)) < error(new, base, decode(first, base=base))


def test_error_feedback_telescopes():
    base, _ = models()
    held, residual, total = Version.of(base), None, np.zeros((256, 192))
    for round_ in range(4):
        target = {"w": held.model["w"] + low_rank(seed=round_).astype(np.float32)}
        total += np.float64(target["w"]) - held.model["w"]
        published = publish(target, base=held, config=DomConfig(relative_error=0.5), residual=residual)
        held, residual = published.version, published.residual
    np.testing.assert_allclose(np.float64(held.model["w"]) - base["w"] + residual["w"], total, atol=1e-6)


def test_huge_and_tiny_differences_travel():
    for scale in (1e-35, 1e-20, 1e20, 1e35):
        new = {"w": low_rank(scale=scale).astype(np.float32)}
        base = {"w": np.zeros_like(new["w"])}
        assert error(new, base, decode(encode(new, base=base), base=base)) < 0.3


def test_the_bodys_bytes_are_those_of_the_tensors():
    base, new = models()
    payload = encode(new, base=base)
    assert sum(tensor.bytes for tensor in inspect(payload, base=base).tensors) == len(read_envelope(payload).body)


def test_headers_of_many_small_tensors_are_compressed():
    rng = np.random.default_rng(0)
    base = {f"layer.{place}.weight": rng.standard_normal((8, 8)).astype(np.float32) for place in range(500)}
    new = {name: array + np.float32(1e-3) * rng.standard_normal((8, 8)).astype(np.float32) for name, array in base.items()}
    payloads = {version: encode(new, base=base, config=DomConfig(format=version)) for version in (1, 2)}
    first, second = (read_envelope(payload) for payload in payloads.values())
    assert (first.version, second.version) == (1, 2)
    assert len(second.header) < 0.8 * len(first.header)
    assert len(read_header(second.header, 2).steps) == len(read_header(first.header).steps)
