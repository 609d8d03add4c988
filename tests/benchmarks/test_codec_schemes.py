"""The peers: what they decode is as far off as their papers say, and their sizes are those of what was sent."""

import numpy as np
import pytest

from codec.measure import measure
from codec.roster import SAME, schemes
from codec.schemes.integers import DEAD_ZONE, RoundedOurs, to_integers
from codec.update import Update

FAMILIES = schemes(1e-3, quick=False, nncodec=False)


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


@pytest.mark.parametrize(
    ("family", "label", "bits", "error"), [("fp16", "fp16", 16, 2e-4), ("STC", "share 0.1", 0.58, 0.74)]
)
def test_points_are_of_all_that_is_sent(update, family, label, bits, error):
    """Matrices as the codec sends them, the buffer as int8 with two float32, the counter as it is."""
    point = measure(next(s for s in FAMILIES[family] if s.label == label), update)
    buffer, counter = 40 + 8, 8
    matrices = update.weights - 40
    assert point.size == pytest.approx(bits * matrices / 8 + buffer + counter, rel=0.03)
    assert point.error == pytest.approx(error, rel=0.05)


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
