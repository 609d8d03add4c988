import numpy as np
import pytest

from fedretina.dom.integers import PCODEC_HEADER, decompressor_for
from fedretina.dom.layout import LAYOUTS, candidates, count_pieces, pack_laid_out, unpack_laid_out

READER = decompressor_for(PCODEC_HEADER)


def _spread(shape, seed=0):
    rng = np.random.default_rng(seed)
    out = np.exp(rng.normal(0, 0.7, (shape[0],) + (1,) * (len(shape) - 1)))
    inner = np.exp(rng.normal(0, 0.7, (1, shape[1]) + (1,) * (len(shape) - 2)))
    return np.rint(rng.standard_normal(shape) * out * inner).astype(np.int64).reshape(-1)


@pytest.mark.parametrize("layout", range(len(LAYOUTS)))
@pytest.mark.parametrize("shape", [(64, 128), (32, 64, 3, 3), (10000, 1), (16, 8, 4, 4, 4)])
def test_round_trip(layout, shape):
    values = _spread(shape)
    pieces = pack_laid_out(values, shape, layout, "balanced")
    assert len(pieces) == count_pieces(shape, values.size, layout)
    back = unpack_laid_out(pieces, shape, values.size, layout=layout, decompressor=READER)
    assert np.array_equal(back, values)


def test_sorting_pays_where_channels_differ():
    shape = (64, 64, 3, 3)
    sizes = [sum(map(len, pack_laid_out(_spread(shape), shape, layout, "balanced"))) for layout in range(3)]
    assert sizes[1] < 0.97 * sizes[0]
    assert sizes[2] < 0.88 * sizes[0]


def test_vectors_and_small_tensors_are_not_sorted():
    assert candidates((20000,), 20000, "small") == (0,)
    assert candidates((16, 16, 3, 3), 2304, "small") == (0,)
    assert candidates((64, 64, 3, 3), 36864, "fast") == (0,)
    assert len(candidates((64, 64, 3, 3), 36864, "small")) == 4
