import numpy as np
import pytest

from fedretina.reuse.committee.held_out import HeldOutVotes, choose_held_out, trusted_share


def test_each_class_keeps_a_label():
    labels = np.where(np.random.default_rng(1).random(400) < 0.3, np.repeat(np.arange(40), 10), -1)
    chosen = choose_held_out(labels, 0.9)
    rest = labels.copy()
    rest[chosen] = -1
    assert (labels[chosen] >= 0).all()
    assert set(rest) == set(labels)
    assert np.array_equal(chosen, choose_held_out(labels, 0.9))
    assert not np.array_equal(chosen, choose_held_out(labels, 0.9, seed=1))


def test_the_part_is_that_of_the_labelled():
    assert len(choose_held_out(np.repeat(np.arange(10), 10), 0.25)) == 25
    assert len(choose_held_out(np.repeat(np.arange(10), 10), 0.0)) == 0
    assert len(choose_held_out(np.full(50, -1), 0.25)) == 0


@pytest.mark.parametrize(("right", "min_accuracy", "share"), [(0, 0.9, 0.8), (24, 0.9, 0.4), (38, 0.9, 0.0), (20, 0.3, 0.8)])
def test_votes_of_low_accuracy_are_not_used(right, min_accuracy, share):
    check = HeldOutVotes(np.linspace(0, 1, 40, dtype=np.float32), np.arange(40) >= right)
    assert trusted_share(check, 0.8, min_accuracy)[0] == pytest.approx(share)


def test_one_vote_that_happens_to_be_right_is_no_evidence():
    check = HeldOutVotes(np.linspace(0, 1, 10, dtype=np.float32), np.arange(10) == 9)
    assert trusted_share(check, 0.8, 0.25) == (0.0, 0.1)
