import numpy as np
import pytest

from fedretina.dom import DomConfig, decode, encode, inspect
from fedretina.dom.quantisation.viterbi import search_paths


def _values(size=40000, scale=4.0):
    return scale * np.random.default_rng(0).standard_normal(size)


def _search(x, rate=0.0, groups=None):
    fine = np.rint(x * 128).astype(np.int32)
    offsets = search_paths(fine, groups or (x.size,), rate=rate)
    return fine, offsets


def test_less_error_than_a_quantiser_of_the_same_rate():
    """Of twice the step: eight states are known to gain .8 to 1.1 dB."""
    x = _values(scale=60.0)
    chosen = _search(x)[0]
    uniform = 2 * np.rint(x / 2)
    gain = 10 * np.log10(np.square(x - uniform).mean() / np.square(x - chosen).mean())
    assert 0.8 < gain < 1.2


def test_a_higher_lambda_makes_integers_smaller_and_errors_larger():
    x = _values(scale=2.0)
    calm, eager = (_search(x, rate)[0] for rate in (0.05, 0.5))
    assert np.abs(eager).mean() < np.abs(calm).mean()
    assert np.square(x - eager).mean() > np.square(x - calm).mean()


def test_offsets_are_the_centroids():
    x = _values(scale=1.0)
    chosen, offsets = _search(x, 0.25)
    for level, offset in zip((1, 2), np.frombuffer(offsets, np.int8), strict=False):
        at = np.abs(chosen) == level
        assert offset / 128 == pytest.approx((np.abs(x[at]) - level).mean(), abs=0.01)


def test_huge_values_are_restored_within_two_steps():
    x = _values(scale=1e6)
    assert np.abs(x - _search(x, 0.25)[0]).max() < 2.5


def test_what_the_last_row_lacks_does_not_matter():
    for size in (8192, 8193, 8255):
        x = _values(size)
        assert np.square(x - _search(x, 0.05)[0]).mean() < 0.5


@pytest.mark.parametrize("target", [0.25, 0.05])
def test_fewer_bytes_than_rdoq_at_the_same_error(target):
    rng = np.random.default_rng(1)
    base = {"w": rng.standard_normal((128, 512)).astype(np.float32)}
    scales = np.exp(rng.normal(0, 0.5, (128, 1)))
    new = {"w": (base["w"] + 1e-3 * scales * rng.standard_normal((128, 512))).astype(np.float32)}
    bits = []
    for rounding in ("rdoq", None):
        payload = encode(new, base=base, config=DomConfig(effort="small", rounding=rounding, relative_error=target))
        lost = decode(payload, base=base)["w"] - new["w"]
        error = np.linalg.norm(lost) / np.linalg.norm(new["w"] - base["w"])
        assert error == pytest.approx(target, rel=0.05)
        bits.append(8 * len(payload) / lost.size + np.log2(error / target))
    assert bits[1] < 0.98 * bits[0]


def test_what_is_quantised_dependently():
    base = {"large": np.zeros((96, 96), np.float32), "small": np.zeros((90, 90), np.float32)}
    new = {name: np.random.default_rng(0).standard_normal(array.shape).astype(np.float32) for name, array in base.items()}

    def codings(**fields):
        return [tensor.coding for tensor in inspect(encode(new, base=base, config=DomConfig(**fields)), base=base).tensors]

    assert ["trellis" in coding for coding in codings(effort="small")] == [True, False]
    for other in ({}, {"effort": "small", "lattice": True}, {"effort": "small", "rounding": "rdoq"}):
        assert not any("trellis" in coding for coding in codings(**other))


def test_the_step_of_given_bits_makes_about_the_error_of_rdoq():
    rng = np.random.default_rng(2)
    base = {"w": np.zeros((128, 256), np.float32)}
    new = {"w": (2e-3 * rng.standard_normal((128, 256))).astype(np.float32)}
    errors = []
    for rounding in ("rdoq", None):
        config = DomConfig(effort="small", rounding=rounding, bits=3)
        errors.append(float(np.linalg.norm(decode(encode(new, base=base, config=config), base=base)["w"] - new["w"])))
    assert errors[1] == pytest.approx(errors[0], rel=0.1)
