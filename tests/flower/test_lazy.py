"""Replies stay compressed until somebody reads them, give what Flower's arrays give, and are let go."""

import copy
import gc
import pickle

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord

from fedretina.dom import Version, publish
from fedretina.flower.lazy import LazyArray, lazy_record
from fedretina.flower.sources import ModelCache, ReplySource, VersionSource

RNG = np.random.default_rng(0)
SHAPES = {"a": (40, 50), "b": (50,), "c": (3, 3)}


def version():
    return Version.of({name: RNG.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()})


def reply(cache, base=None):
    made = publish(version().model, base=base)
    lazy = ReplySource(made.payload, made.version.digest, base, cache)
    return lazy, made.version.model


@pytest.fixture
def array():
    held = version()
    return LazyArray(VersionSource(held), "a", held.model["a"]), Array(np.array(held.model["a"]))


def test_it_is_what_flower_would_have_made(array):
    lazy, plain = array
    assert isinstance(lazy, Array)
    assert (lazy.dtype, lazy.shape, lazy.stype, lazy.data) == (plain.dtype, plain.shape, plain.stype, plain.data)
    assert lazy == plain
    assert plain == lazy
    assert lazy.object_id == plain.object_id
    assert lazy.deflate() == plain.deflate()


def test_copies_and_pickles_are_plain(array):
    lazy, plain = array
    for other in (pickle.loads(pickle.dumps(lazy)), copy.deepcopy(lazy)):
        assert type(other) is Array
        assert other == plain


def test_what_it_gives_is_the_callers_own(array):
    lazy, plain = array
    lazy.numpy()[:] = 7
    assert np.array_equal(lazy.numpy(), plain.numpy())


def test_data_that_are_set_stay(array):
    lazy, _ = array
    other = Array(np.zeros(2))
    lazy.data = other.data
    assert np.array_equal(lazy.numpy(), np.zeros(2))


def test_flowers_ways_of_reading_a_record(tmp_path):
    lazy, model = reply(ModelCache(2**20, tmp_path))
    record = lazy_record(lazy, model, ["c", "a", "b"])
    assert list(record) == ["c", "a", "b"]
    assert all(np.array_equal(x, model[name]) for name, x in zip(record, record.to_numpy_ndarrays(), strict=True))
    copied = ArrayRecord(dict(record.items()))
    assert np.array_equal(copied["a"].numpy(), model["a"])
    for name, x in zip(["c", "a", "b"], record.to_numpy_ndarrays(keep_input=False), strict=True):
        assert np.array_equal(x, model[name])


def test_one_model_at_a_time_is_decoded_where_no_more_fit(tmp_path):
    cache = ModelCache(1, tmp_path)
    replies = [reply(cache, version()) for _ in range(5)]
    for lazy, model in replies:  # as an average reads: reply by reply
        assert all(np.array_equal(lazy.array(name), model[name]) for name in SHAPES)
        assert cache.held_bytes == sum(array.nbytes for array in model.values())
    assert list(tmp_path.iterdir()) == []


def test_tensor_by_tensor_over_all_replies_goes_by_files(tmp_path):
    cache = ModelCache(1, tmp_path)
    replies = [reply(cache) for _ in range(4)]
    for name in SHAPES:  # as a median reads
        for lazy, model in replies:
            assert np.array_equal(lazy.array(name), model[name])
    files = list(tmp_path.iterdir())
    assert len(files) == len(replies) - 1  # one fits
    files[0].unlink()
    for lazy, model in replies:
        assert np.array_equal(lazy.array("a"), model["a"])
    del replies, lazy
    gc.collect()
    assert list(tmp_path.iterdir()) == []


def test_who_is_not_needed_any_more_gives_its_place_back(tmp_path):
    cache = ModelCache(2**20, tmp_path)
    lazy, _ = reply(cache)
    lazy.array("a")
    assert cache.held_bytes > 0
    del lazy
    gc.collect()
    assert cache.held_bytes == 0
