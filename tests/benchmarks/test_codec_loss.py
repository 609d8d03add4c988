"""Bars and fewest bits follow from the points; federated training goes through the codec that is named."""

import pytest

from codec.loss.bars import bars, needs
from codec.loss.channels import CHANNELS, QUICK
from codec.loss.federated import Federation, Training, federate
from codec.loss.sweep import Judged, LossPoint
from codec.vectors.language import TINY
from fedretina.study.codecs import create


def point(family, bpw, lost, error=0.2):
    return LossPoint(family, "x", bpw, error, lost)


def judged(*points, name="gpt5m-up40"):
    return Judged(name, 100, 1e-3, (4.0, 3.0), points)


def test_the_fewest_bits_are_of_settings_that_are_good_enough():
    one, five = needs(
        judged(point("DoM a", 2, 0.009), point("DoM a", 1, 0.02), point("STC", 0.5, 0.3), point("nf4", 4, -0.1))
    )
    assert (one.ours.bpw, one.peer.bpw) == (2, 4)
    assert (five.ours.bpw, five.peer.bpw) == (1, 4)


def test_without_a_good_setting_there_is_none_and_the_bar_is_missed():
    vector = judged(point("DoM a", 2, 0.4), point("DoM a", 1, 0.5))
    assert needs(vector)[0].ours is None
    assert [bar.met for bar in bars([vector], [])] == [False, False]


def test_bars_compare_with_what_was_promised():
    vector = judged(point("DoM a", 0.7, 0.005, 0.1), point("DoM a", 0.1, 0.04, 0.5))
    found = {bar.what: bar for bar in bars([vector], [])}
    assert found["at most 1 % of the improvement lost: bpw"].met
    assert found["at most 5 % of the improvement lost: bpw"].value == "0.100"
    assert not found["error 0.25: bpw"].met


@pytest.mark.parametrize(("ours", "met"), [(3.30, True), (3.39, False)])
def test_federated_bars_compare_last_losses(ours, met):
    runs = [("none", 32, 3.345), ("SparseLoCo k", 0.3, 3.38), ("DoM coarse", 0.08, ours), ("DoM fine", 0.25, 3.35)]
    found = bars([], [Training(channel, bpw, [3.5, last]) for channel, bpw, last in runs])
    assert [bar.met for bar in found] == [met, True]


def test_federated_training_learns_and_repeats_itself(tmp_path):
    what = Federation(TINY, rounds=2, steps=2)
    first, again = (federate("sparse", create("sparseloco", k=64), tmp_path, what) for _ in range(2))
    assert first == again
    uncoded = federate("none", create("none"), tmp_path, what)
    assert uncoded.bpw == 32
    assert uncoded.losses[-1] < uncoded.losses[0] == first.losses[0]
    assert 0.2 < first.bpw < 0.4


def test_every_channel_is_a_codec():
    assert {make().name for make in CHANNELS.values()} >= {
        "none",
        "dom",
        "sparseloco",
        "stc",
        "topk",
        "ef21",
        "powersgd",
        "sign",
    }
    assert set(QUICK) <= set(CHANNELS)
