"""The gaps' code: every set of indices comes back, at about its entropy."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from codec.schemes.golomb import pack_indices, unpack_indices


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
