import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedretina.dom.coding.integers import PCODEC_HEADER, decompressor_for
from fedretina.dom.coding.layout import LAYOUTS, MAX_BLOCKS, codes_of, count_codes, spreads
from fedretina.dom.coding.order import order_of
from fedretina.dom.coding.packing import candidates, pack_best, pack_laid_out, unpack_laid_out
from fedretina.errors import Corrupt

READER = decompressor_for(PCODEC_HEADER)
SHAPES = [(64, 128), (32, 64, 3, 3), (10000, 1), (16, 8, 4, 4, 4), (1, 9000), (128, 1, 9, 9)]


def _spread(shape, seed=0, level=1.0):
    rng = np.random.default_rng(seed)
    out = np.exp(rng.normal(0, 0.7, (shape[0],) + (1,) * (len(shape) - 1)))
    inner = np.exp(rng.normal(0, 0.7, (1, shape[1]) + (1,) * (len(shape) - 2)))
    return np.rint(level * rng.standard_normal(shape) * out * inner).astype(np.int64).reshape(-1)


@pytest.mark.parametrize("layout", range(len(LAYOUTS)))
@pytest.mark.parametrize("shape", SHAPES)
def test_round_trip(layout, shape):
    values = _spread(shape)
    pieces = pack_laid_out(values, shape, layout, "balanced")
    back = unpack_laid_out(pieces, shape, values.size, layout=layout, decompressor=READER)
    assert np.array_equal(back, values)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("layout", [1, 2, 3])
def test_values_lie_by_class_then_by_channel_scales_then_by_place(shape, layout):
    """The order that docs/reference/format.md describes, by a slow sort."""
    codes = codes_of(spreads(_spread(shape), shape, layout))
    axes = (shape[0], shape[1], int(np.prod(shape[2:])))
    parts = [part.astype(int) for part in np.split(codes, np.cumsum(axes[: layout - 1]))]
    grids = np.meshgrid(*(np.arange(size) for size in axes), indexing="ij")
    own = [part[grid.reshape(-1)] for part, grid in zip(parts, grids, strict=False)]
    places = [
        np.argsort(np.argsort(part, kind="stable"))[grid.reshape(-1)] for part, grid in zip(parts, grids, strict=False)
    ]
    places += [grid.reshape(-1) for grid in grids[layout:]]
    expected = np.lexsort((*reversed(places), *reversed(own), sum(own)))
    order = order_of(codes, shape, layout)
    assert np.array_equal(order.sort(np.arange(expected.size)), expected)
    assert sum(order.groups) == expected.size


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 5)),
    st.integers(1, 3),
    st.integers(0, 2**32),
    st.integers(1, 120),
)
def test_any_codes_make_an_order(shape, layout, seed, spread):
    rng = np.random.default_rng(seed)
    codes = rng.integers(-spread, spread, count_codes(shape, layout), endpoint=True)
    values = rng.integers(-9, 9, int(np.prod(shape)))
    order = order_of(codes, shape, layout)
    assert np.array_equal(order.unsort(order.sort(values)), values)


def test_codes_that_make_too_many_blocks_are_refused():
    with pytest.raises(Corrupt, match="blocks"):
        order_of(np.arange(200) % 128, (100, 100), 2)
    assert MAX_BLOCKS < 100 * 100


def test_codes_grow_coarser_where_they_would_make_too_many_blocks():
    rng = np.random.default_rng(0)
    values = np.exp2(rng.uniform(0, 25, (300, 1))) * np.exp2(rng.uniform(0, 25, (1, 300)))
    codes = codes_of(spreads(values.astype(np.int64).reshape(-1), (300, 300), 2))
    assert np.unique(codes[:300]).size * np.unique(codes[300:]).size <= MAX_BLOCKS


def test_sorting_pays_where_channels_differ():
    shape = (128, 128, 3, 3)
    sizes = [sum(map(len, pack_laid_out(_spread(shape), shape, layout, "balanced"))) for layout in range(3)]
    assert sizes[1] < 0.97 * sizes[0]
    assert sizes[2] < 0.90 * sizes[0]
    assert pack_best(_spread(shape), shape, "balanced")[0] in (2, 3)
    assert pack_best(_spread(shape), shape, "fast")[0] == 1


def test_a_quick_choice_is_nearly_the_best_one():
    for level in (0.5, 3, 30):
        values = _spread((128, 128, 3, 3), level=level)
        every = [sum(map(len, pack_laid_out(values, (128, 128, 3, 3), layout, "balanced"))) for layout in range(4)]
        assert sum(map(len, pack_best(values, (128, 128, 3, 3), "balanced")[1])) <= 1.01 * min(every)


def test_vectors_small_tensors_and_single_values_a_channel_are_not_sorted():
    def tried(shape, effort):
        return candidates(np.zeros(int(np.prod(shape)), np.int8), shape, effort)

    assert tried((20000,), "small") == (0,)
    assert tried((16, 16, 3, 3), "small") == (0,)
    assert tried((64, 64, 3, 3), "fast") == (1,)
    assert tried((10000, 1), "fast") == (0,)
    assert tried((64, 64, 3, 3), "small") == (0, 1, 2, 3)


@pytest.mark.parametrize("kind", [np.int8, np.int16, np.int32, np.int64])
def test_the_sizes_of_channels_are_those_of_all_values_extremes_too(kind):
    values = np.full((64, 128), np.iinfo(kind).min, kind)
    values[:, ::2] = 0
    rows, columns = spreads(values.reshape(-1), values.shape, 2)
    size = np.log2(-float(np.iinfo(kind).min))
    assert rows == pytest.approx(np.full(64, size - 1))
    assert columns[1::2] == pytest.approx(np.full(64, size))
    assert columns[::2] == pytest.approx(np.full(64, -16))
