"""A model's weight is that of its record, without serialising it."""

import numpy as np
from flwr.app import Array, ArrayRecord
from hypothesis import given
from hypothesis import strategies as st

import toy
from fedretina.flower import DomGrid, DomMod
from fedretina.flower.weight import weight, weight_of_model
from grids import LocalGrid

DTYPES = st.sampled_from([np.float32, np.float64, np.float16, np.int64, np.uint8])
SHAPES = st.sampled_from([(), (7,), (3, 5), (40, 40), (0, 4)])


@given(st.lists(st.tuples(DTYPES, SHAPES, st.integers(0, 2)), max_size=6))
def test_it_is_exact_equal_arrays_included(rows):
    model = {
        f"t{i}": np.random.default_rng(seed).integers(0, 200, size=shape).astype(dtype)
        for i, (dtype, shape, seed) in enumerate(rows)
    }
    assert weight_of_model(model) == weight(ArrayRecord({name: Array(array) for name, array in model.items()}))


def test_arrays_of_several_chunks():
    model = {"w": np.random.default_rng(0).normal(size=(3000, 1000)).astype(np.float32)}
    assert weight_of_model(model) == weight(ArrayRecord({"w": Array(model["w"])}))


def test_a_reply_weighs_what_it_would_have_weighed(tmp_path):
    model = toy.start()
    (plain,) = LocalGrid(toy.app(), 1).send_and_receive([toy.ask(model)])
    grid = DomGrid(LocalGrid(toy.app(DomMod(tmp_path)), 1), store=tmp_path)
    grid.send_and_receive([toy.ask(model)])
    down, up = grid.ledger.rows
    assert up.raw_bytes == weight(plain.content)
    assert down.raw_bytes == weight(toy.ask(model).content)
