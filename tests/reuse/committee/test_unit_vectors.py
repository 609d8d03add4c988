import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from fedretina.errors import BadArgument
from fedretina.reuse.committee.unit_vectors import (
    centre_groups,
    check_features,
    concatenate,
    normalise_rows,
    reduce_dimensions,
)

tables = nps.arrays(np.float32, st.tuples(st.integers(2, 12), st.integers(1, 5)), elements=st.floats(-9, 9, width=16))


@settings(deadline=None)
@given(tables)
def test_rows_have_length_one_or_stay_zero(table):
    lengths = np.linalg.norm(normalise_rows(table), axis=1)
    assert np.allclose(lengths[np.abs(table).max(1) > 0], 1, atol=1e-5)
    assert not lengths[np.abs(table).max(1) == 0].any()


def test_features_whose_squares_overflow_keep_their_directions():
    table = np.array([[3e25, -4e25], [3, -4], [0, 0], [-3e38, 0]], np.float32)
    assert np.allclose(normalise_rows(table), [[0.6, -0.8], [0.6, -0.8], [0, 0], [-1, 0]])


def test_what_a_camera_adds_to_its_images_is_gone():
    draw = np.random.default_rng(0)
    looks, light = draw.normal(size=(20, 16)), 2 * draw.normal(size=(2, 16))
    camera = np.array([7, 3] * 20)
    seen = normalise_rows(looks[np.repeat(np.arange(20), 2)] + light[camera // 4] + 0.2 * draw.normal(size=(40, 16)))

    def found(features):
        near = features @ features.T - 2 * np.eye(40)
        return (near.argmax(1) // 2 == np.arange(40) // 2).mean()

    assert found(seen) < 0.5
    assert found(centre_groups(seen, camera)) > 0.9


def test_without_groups_all_are_one():
    table = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    assert np.array_equal(centre_groups(table), centre_groups(table, np.zeros(9, np.int64)))


@settings(deadline=None)
@given(st.integers(0, 99), st.floats(0.05, 0.95))
def test_inner_products_are_the_weighted_means_of_the_models_own(seed, weight):
    draw = np.random.default_rng(seed)
    a, b = normalise_rows(draw.normal(size=(6, 3))), normalise_rows(draw.normal(size=(6, 5)))
    both = concatenate({"a": a, "b": b}, {"a": weight, "b": 1 - weight})
    assert np.allclose(both @ both.T, weight * a @ a.T + (1 - weight) * b @ b.T, atol=1e-5)


def test_reduction_keeps_inner_products_where_the_rest_is_small():
    draw = np.random.default_rng(0)
    table = (draw.normal(size=(50, 4)) @ draw.normal(size=(4, 30))).astype(np.float32)
    small = reduce_dimensions(table, 4)
    assert small.shape == (50, 4)
    assert np.allclose(small @ small.T, table @ table.T, atol=1e-2)
    assert reduce_dimensions(table, 30) is table


def test_tensors_are_taken_and_what_is_no_table_is_refused():
    assert check_features("a", torch.ones(3, 2)).dtype == np.float32
    for wrong in (np.ones(3), np.ones((3, 2, 1)), np.ones((0, 2))):
        with pytest.raises(BadArgument, match="'a' have the shape"):
            check_features("a", wrong)
    with pytest.raises(BadArgument, match=r"give \(4, d\)"):
        check_features("a", np.ones((3, 2)), 4)
    with pytest.raises(BadArgument, match="NaN"):
        check_features("a", np.array([[np.nan]]))
