"""The peers: what they decode is as far off as their papers say, and their sizes are those of what was sent."""

import numpy as np
import pytest

from codec.measure import measure
from codec.roster import SAME, schemes
from codec.schemes.integers import DEAD_ZONE, RoundedOurs, to_integers
from codec.update import Update

FAMILIES = schemes(1e-3, quick=False, nncodec=None)


@pytest.fixture(scope="module")
def update():
    rng = np.random.default_rng(0)
    base = {
        "conv.weight": rng.normal(size=(40, 24, 3, 3)),
        "head.weight": rng.normal(size=(31, 97)),  # an odd number of values
        "norm.running_var": rng.random(40) + 1,
    }
    base = {name: values.astype(np.float32) for name, values in base.items()} | {"norm.num_batches_tracked": np.array(5)}
    new = {
        name: (values + 1e-3 * rng.normal(size=values.shape)).astype(np.float32) if values.ndim else values + 3
        for name, values in base.items()
    }
    return Update("normal", base, new)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_arrives_has_the_shapes_of_what_was_sent(update, family):
    for scheme in FAMILIES[family]:
        decoded = scheme.decode(scheme.encode(update), update.base)
        assert {name: (a.shape, a.dtype) for name, a in decoded.items()} == {
            name: (a.shape, a.dtype) for name, a in update.new.items()
        }
        assert decoded["norm.num_batches_tracked"] == 8


# (family, label): at most so many bits per weight, at most so large an error, on normally distributed differences.
KNOWN = {
    ("fp16", "fp16"): (16.1, 4e-4),
    ("int8 min-max", "int8 min-max"): (8.1, 0.012),
    ("blockwise int8", "blocks of 64"): (8.3, 0.008),
    ("nf4", "nf4"): (4.4, 0.1),
    ("top-k", "1 %"): (0.35, 0.96),
    ("STC", "10 %"): (0.7, 0.77),
    ("QSGD", "8 bits"): (8, 0.1),
}


@pytest.mark.parametrize(("family", "label"), KNOWN)
def test_sizes_and_errors_are_those_of_the_papers(update, family, label):
    point = measure(next(s for s in FAMILIES[family] if s.label == label), update)
    bits, error = KNOWN[family, label]
    assert 0.5 * bits < point.bpw <= bits
    assert 0.5 * error < point.error <= error


def test_qsgd_is_unbiased(update):
    scheme = next(s for s in FAMILIES["QSGD"] if s.label == "4 bits")
    decoded = scheme.decode(scheme.encode(update), update.base)["conv.weight"] - update.base["conv.weight"]
    bias = np.vdot(decoded, update.delta["conv.weight"]) / np.vdot(update.delta["conv.weight"], update.delta["conv.weight"])
    assert bias == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("step", [1e-4, 7e-4, 3e-3])
def test_our_coder_returns_the_integers_of_plain_rounding(update, step):
    scheme = RoundedOurs(step)
    decoded = scheme.decode(scheme.encode(update), update.base)
    for name in update.matrices:
        integers = to_integers(update.delta[name], step)
        assert np.array_equal(np.rint((decoded[name] - update.base[name]) / step), integers)


def test_same_integers_means_the_same_at_every_effort(update):
    """What the bars compare with entropy codes exactly the integers whose entropy is taken."""
    for scheme in FAMILIES[SAME]:
        decoded = scheme.decode(scheme.encode(update), update.base)
        step = 10.0**-scheme.config.bits
        for name in update.matrices:
            integers = to_integers(update.delta[name], step, dead_zone=DEAD_ZONE)
            assert np.abs((decoded[name] - update.base[name]) / step - integers).max() < 0.5  # but for centroids
