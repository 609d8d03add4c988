import numpy as np

from fedretina.dom.prediction.rates import PRICE, Spectrum
from fedretina.dom.quantisation.trial import RATE


def count_ranks(values, step):
    energy = float(np.square(values).sum())
    return Spectrum(values, energy, (200, 150)).best_rank(step)


def cost(variances):
    """What one coefficient of each variance costs, which no rank predicts."""
    return np.array([Spectrum(np.zeros(0), variance, (1, 1)).costs(1.0)[0] for variance in variances])


def test_both_rooms_pay_the_same_price_for_an_error():
    assert PRICE == RATE


def test_costs_never_fall_rise_by_half_a_bit_an_octave_and_vanish_with_the_variance():
    octaves = np.arange(4, 40, 2.0)
    np.testing.assert_allclose(np.diff(cost(2.0**octaves)), 1, atol=0.15)
    assert (np.diff(cost(2.0 ** np.arange(-30, 40, 0.25))) >= 0).all()
    assert not cost(np.zeros(1))[0]


def test_noise_has_no_rank_that_pays():
    values = np.linalg.svd(np.random.default_rng(0).standard_normal((200, 150)), compute_uv=False)
    assert count_ranks(values, 1.0) <= 2


def test_finer_steps_pay_more_ranks():
    values = 100 * np.exp(-np.arange(60) / 6)
    ranks = [count_ranks(values, step) for step in (4, 1, 0.1)]
    assert ranks == sorted(ranks)
    assert ranks[0] < ranks[-1]
