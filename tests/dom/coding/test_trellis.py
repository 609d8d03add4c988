import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedretina.dom.coding.integers import PCODEC_HEADER, decompressor_for, pack, unpack
from fedretina.dom.coding.trellis import MIN_TRELLIS_VALUES, count_lanes, pack_paths, rows_of, unpack_paths
from fedretina.dom.quantisation.viterbi import search_paths
from fedretina.errors import Corrupt

READER = decompressor_for(PCODEC_HEADER)


def _paths(size, seed=0, scale=2.0, groups=None):
    """Integers that follow the trellis."""
    fine = np.rint(128 * scale * np.random.default_rng(seed).laplace(size=size)).astype(np.int32)
    search_paths(fine, groups or (size,), rate=0.25)
    return fine


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(8192, 20000), min_size=1, max_size=3),
    st.integers(0, 2**32),
    st.sampled_from([0.0, 0.3, 3.0, 300.0, 1e6]),
)
def test_round_trip(groups, seed, scale):
    values = _paths(sum(groups), seed, scale, groups)
    assert np.array_equal(unpack_paths(pack_paths(values, groups, "small"), groups, READER), values)


def test_as_the_format_describes_it():
    """The state machine of docs/reference/format.md, value by value."""
    groups = (9000, 12345)
    values, total = _paths(sum(groups), groups=groups), sum(groups)
    lanes = max(16, min(8192, total // 128))
    after = {0: [0, 1], 1: [3, 2], 2: [5, 4], 3: [6, 7], 4: [1, 0], 5: [2, 3], 6: [4, 5], 7: [7, 6]}
    streams = [[[], []], [[], []]]
    states = [0] * lanes
    for place, q in enumerate(values.tolist()):
        row, lane = divmod(place, lanes)
        odd = states[lane] % 2
        k = (q + odd * ((q > 0) - (q < 0))) // 2
        assert q == 2 * k - odd * ((k > 0) - (k < 0))
        streams[0 if row * lanes < groups[0] else 1][odd].append(k)
        states[lane] = after[states[lane]][k % 2]
    expected = [*pack(np.array([len(even) for even, _ in streams]), "small")]
    expected += [piece for own in streams for stream in own for piece in pack(np.array(stream), "small")]
    assert pack_paths(values, groups, "small") == expected


@pytest.mark.parametrize(("count", "lanes"), [(MIN_TRELLIS_VALUES, 64), (2**20, 8192), (2**24, 8192)])
def test_lanes(count, lanes):
    assert count_lanes(count) == lanes


def test_every_group_has_rows():
    rows = rows_of((8192, 8193, 2**20))
    assert [each.start for each in rows[1:]] == [each.stop for each in rows[:-1]]
    assert all(each.stop > each.start for each in rows)


@pytest.mark.parametrize("by", [1, -1, 9000, -9000, 2**40])
def test_counts_that_the_states_do_not_ask_for(by):
    size = 9000
    pieces = pack_paths(_paths(size), (size,), "small")
    first = int(unpack(pieces[:1], (1,), READER)[0])
    k = [unpack(pieces[1:2], (first,), READER), unpack(pieces[2:], (size - first,), READER)]
    moved = np.concatenate(k)
    streams = [moved[: first + by], moved[first + by :]] if abs(by) == 1 else k
    hostile = [*pack(np.array([first + by]), "small"), *(piece for each in streams for piece in pack(each, "small"))]
    with pytest.raises(Corrupt, match=r"quantiser|asks for other counts"):
        unpack_paths(hostile, (size,), READER)


def test_pieces_that_are_too_many_or_too_few():
    size = 9000
    pieces = pack_paths(_paths(size), (size,), "small")
    for hostile in ([], pieces[:1], pieces[:-1], [*pieces, pieces[-1]], pieces[1:]):
        with pytest.raises(Corrupt):
            unpack_paths(hostile, (size,), READER)


def test_integers_that_would_overflow():
    hostile = [*pack(np.array([8192]), "small"), *pack(np.full(8192, 2**62), "small")]
    with pytest.raises(Corrupt, match="61"):
        unpack_paths(hostile, (8192,), READER)
