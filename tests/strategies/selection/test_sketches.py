"""Sketches: near for domains that are alike, small, and none of too few samples."""

import numpy as np
import pytest

from fedretina.errors import BadArgument
from fedretina.strategies.selection import sketch, sketch_distance, sketch_distances


def domain(habit, seed, count=200, dimensions=32):
    """Features of a domain: samples around the habits of its district."""
    rng = np.random.default_rng(seed)
    directions = np.random.default_rng(1000 + habit).normal(size=(3, dimensions))
    return rng.normal(size=(count, 3)) * (4, 2, 1) @ directions + rng.normal(size=(count, dimensions)) * 0.3


def test_domains_of_one_district_are_nearer_than_those_of_another():
    sketches = {(habit, seed): sketch(domain(habit, 10 * habit + seed)) for habit in range(3) for seed in range(3)}
    own = [sketch_distance(a, b) for (i, _), a in sketches.items() for (j, _), b in sketches.items() if i == j]
    foreign = [sketch_distance(a, b) for (i, _), a in sketches.items() for (j, _), b in sketches.items() if i != j]
    assert max(own) < min(foreign) / 2


def test_distance_is_symmetric_and_zero_to_itself():
    one, other = sketch(domain(0, 1)), sketch(domain(1, 2), 2)
    assert sketch_distance(one, one) == pytest.approx(0, abs=0.1)  # half precision
    assert sketch_distance(one, other) == pytest.approx(sketch_distance(other, one))
    assert 0 < sketch_distance(one, other) <= 180


def test_a_sketch_has_hundreds_of_bytes():
    assert sketch(domain(0, 0)).nbytes == 32 * 3 * 2


def test_what_may_show_samples_or_cannot_be_compared_is_refused():
    with pytest.raises(BadArgument, match="give at least 10 samples a direction"):
        sketch(domain(0, 0, count=29))
    with pytest.raises(BadArgument, match="give \\(samples, 3 or more\\)"):
        sketch(np.ones((100, 2)))
    with pytest.raises(BadArgument, match="NaN or infinite"):
        sketch(np.full((100, 5), np.inf))
    with pytest.raises(BadArgument, match="make both with the same network"):
        sketch_distance(np.eye(4)[:, :2], np.eye(5)[:, :2])


def test_distances_from_many_are_those_from_each():
    one, *others = (sketch(domain(habit, 7 + habit)) for habit in range(4))
    found = sketch_distances(one, others)
    assert found.tolist() == pytest.approx([sketch_distance(one, other) for other in others])
