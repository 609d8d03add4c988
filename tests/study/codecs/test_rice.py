"""The gaps' code: every set of indices comes back, at about its entropy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedretina.errors import Corrupt, Truncated
from fedretina.study.codecs.rice import pack_indices, pack_integers, unpack_indices, unpack_integers


@given(st.integers(1, 3000).flatmap(lambda total: st.tuples(st.just(total), st.sets(st.integers(0, total - 1)))))
def test_indices_come_back(case):
    total, chosen = case
    indices = np.array(sorted(chosen), np.int64)
    data = pack_indices(indices, total)
    found, used = unpack_indices(data + b"tail", indices.size, total)
    assert found.tolist() == indices.tolist()
    assert used == len(data)


def test_gaps_cost_about_their_entropy():
    total, share = 200_000, 0.01
    indices = np.flatnonzero(np.random.default_rng(0).random(total) < share)
    entropy = -total * (share * np.log2(share) + (1 - share) * np.log2(1 - share))
    assert entropy < 8 * len(pack_indices(indices, total)) < 1.05 * entropy


@given(st.lists(st.integers(0, 4095)))
def test_integers_come_back_in_twelve_bits_each(values):
    data = pack_integers(np.array(values, np.int64), 12)
    assert len(data) == -(-12 * len(values) // 8)
    assert unpack_integers(data, len(values), 12).tolist() == values


def test_positions_beyond_the_end_are_refused():
    data = pack_indices(np.array([99]), 100)
    with pytest.raises(Corrupt, match="position 99"):
        unpack_indices(data, 1, 99)


def test_positions_that_end_early_are_refused():
    data = pack_indices(np.arange(0, 1000, 10), 1000)
    with pytest.raises(Truncated):
        unpack_indices(data[:-1], 100, 1000)
