"""Differences that are rotated together: right in the mean, whatever the step, and the same on both ends."""

from dataclasses import replace

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedretina.dom import DomConfig, accept, decode, digest, encode, inspect, publish
from fedretina.dom.format.envelope import read_envelope, write_envelope
from fedretina.dom.format.header import read_header, write_header
from fedretina.dom.format.spec import ROTATED as ROTATED_KIND
from fedretina.dom.format.spec import Coding
from fedretina.dom.quantisation.rotation import Rotation
from fedretina.dom.quantisation.steps import Step
from fedretina.errors import BadArgument, Corrupt, UnknownBase

ROTATED = DomConfig(rms_step=4.0, rotated=True)
FLOATS = [np.float32, np.float16, ml_dtypes.bfloat16, np.float64]


def _models(seed, shapes=((60, 50), (40, 3, 3, 3), (7,)), dtype=np.float32):
    random = np.random.default_rng(seed)
    base = {f"t{place}": random.standard_normal(shape).astype(dtype) for place, shape in enumerate(shapes)}
    new = {
        name: (values.astype(np.float64) + random.standard_normal(values.shape) * 0.01 * (place + 1)).astype(dtype)
        for place, (name, values) in enumerate(base.items())
    }
    return base, new


def _difference(new, base, name="t0"):
    return new[name].astype(np.float64) - base[name].astype(np.float64)


@pytest.mark.parametrize("dtype", FLOATS)
def test_both_ends_hold_the_same(dtype):
    base, new = _models(1, dtype=dtype)
    held = publish(base, base=None, config=DomConfig(lossless=True)).version
    published = publish(new, base=held, config=ROTATED)
    assert accept(published.payload, base=held) == published.version
    assert {tensor.coding for tensor in inspect(published.payload).tensors if len(tensor.shape or ()) != 1} >= {"rotated"}


@settings(max_examples=30, deadline=None)
@given(
    shapes=st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=3).map(tuple), min_size=1, max_size=5),
    rms_step=st.sampled_from([0.01, 0.5, 3.0, 8.0, 1000.0]),
    seed=st.integers(0, 99),
    dtype=st.sampled_from(FLOATS),
)
def test_any_shapes_arrive_and_something_always_moves(shapes, rms_step, seed, dtype):
    base, new = _models(seed, shapes, dtype)
    config = DomConfig(rms_step=rms_step, rotated=True, vector_error=None)
    decoded = decode(encode(new, base=base, config=config), base=base)
    assert digest(decoded) == read_envelope(encode(new, base=base, config=config)).result.hex()
    assert any(not np.array_equal(decoded[name], base[name]) for name in base) or digest(new) == digest(base)


def test_the_mean_over_rotations_is_what_was_meant():
    """With a base that differs each time, errors average out as independent ones do; those of plain rounding stay."""
    base, new = _models(2)
    wanted = _difference(new, base)
    errors = {}
    for config in (ROTATED, DomConfig(rms_step=4.0, rounding="nearest")):
        bases = [base | {"round": np.array(number)} for number in range(64)]
        found = [
            _difference(decode(encode(new | {"round": held["round"]}, base=held, config=config), base=held), base)
            for held in bases
        ]
        one, mean = (np.linalg.norm(each - wanted) / np.linalg.norm(wanted) for each in (found[0], np.mean(found, axis=0)))
        errors[config.rotated] = one, mean
    assert errors[True][1] < errors[True][0] / 6
    assert errors[False][1] > 0.9 * errors[False][0]


def test_finer_steps_make_smaller_errors():
    base, new = _models(3)
    errors = []
    for step in (4.0, 1.0, 0.1, 0.01):
        decoded = decode(encode(new, base=base, config=DomConfig(rms_step=step, rotated=True)), base=base)
        errors.append(np.linalg.norm(_difference(decoded, new)) / np.linalg.norm(_difference(new, base)))
    assert sorted(errors, reverse=True) == errors
    assert errors[-1] < 0.01


def test_errors_are_in_proportion_to_each_tensor():
    """A tensor that moves a thousand times as far as another does not drown it."""
    base = {"large": np.zeros((100, 100), np.float32), "small": np.zeros((100, 100), np.float32)}
    random = np.random.default_rng(0)
    new = {
        name: (random.standard_normal((100, 100)) * size).astype(np.float32)
        for name, size in zip(base, (1, 1e-3), strict=True)
    }
    decoded = decode(encode(new, base=base, config=DomConfig(rms_step=0.5, rotated=True)), base=base)
    for name in base:
        assert np.linalg.norm(decoded[name] - new[name]) < 0.3 * np.linalg.norm(new[name])


def test_a_sum_of_replies_takes_few_bytes_on_the_way_down():
    """It rotates as the replies did, since it builds on the same base, and is sparse as they are."""
    random = np.random.default_rng(4)
    base = {"w": random.standard_normal((200, 100)).astype(np.float32)}
    update = random.standard_normal((200, 100))
    replies = [
        {"w": (base["w"] + 0.01 * (update + random.standard_normal(update.shape))).astype(np.float32)} for _ in range(3)
    ]
    config = DomConfig(rms_step=5.0, rotated=True)
    decoded = [decode(encode(reply, base=base, config=config), base=base)["w"] for reply in replies]
    mean = {"w": np.mean(decoded, axis=0, dtype=np.float32)}
    other = base | {"round": np.array(1)}

    def lost(held):
        found = decode(encode(mean | {k: held[k] for k in held if k != "w"}, base=held, config=config), base=held)
        return np.linalg.norm(found["w"] - mean["w"]) / np.linalg.norm(mean["w"] - base["w"])

    assert lost(base) < 0.5 * lost(other)


def test_the_mean_of_few_replies_goes_down_in_every_tensor():
    """With a step of 3 the mean of four replies has values just below half a step. The tensors' sizes are such that the
    server scales them otherwise than the nodes did: then the small one got noise, and nothing of its own difference."""
    config = DomConfig(rms_step=3.0, rotated=True, vector_error=None)
    random = np.random.default_rng(5)
    sizes = {"large": ((180, 200), 2**-10.2), "small": ((40, 100), 2**-9.8)}
    base = {name: random.standard_normal(shape).astype(np.float32) * 0.05 for name, (shape, _) in sizes.items()}
    replies = []
    for _ in range(4):
        new = {
            name: base[name] + random.standard_normal(shape).astype(np.float32) * size
            for name, (shape, size) in sizes.items()
        }
        replies.append(decode(encode(new, base=base, config=config), base=base))
    mean = {name: np.mean([reply[name] for reply in replies], axis=0) for name in base}
    found = decode(encode(mean, base=base, config=config), base=base)
    for name in base:
        wanted, got = (_difference(model, base, name).reshape(-1) for model in (mean, found))
        assert wanted @ got == pytest.approx(wanted @ wanted, rel=0.35), name


def test_vectors_integers_and_exact_tensors_are_as_without():
    base, new = _models(5)
    base |= {"counts": np.arange(4), "variance": np.linspace(0.1, 1, 300, dtype=np.float32)}
    new |= {"counts": np.arange(4) + 1, "variance": base["variance"] * np.float32(1.01)}
    published = publish(
        new, base=publish(base, base=None, config=DomConfig(lossless=True)).version, config=ROTATED, exact=("t1",)
    )
    model = published.version.model
    assert np.array_equal(model["counts"], new["counts"])
    assert np.array_equal(model["t1"], new["t1"])
    assert (model["variance"] > 0).all()
    codings = {tensor.name: tensor.coding for tensor in inspect(published.payload, base=base).tensors}
    assert codings["t0"] == "rotated"
    assert codings["variance"].startswith("steps")


def test_what_is_lost_is_not_fed_back():
    base, new = _models(6)
    held = publish(base, base=None, config=DomConfig(lossless=True)).version
    assert not publish(new, base=held, config=ROTATED).residual
    assert not publish(new, base=held, config=DomConfig(rounding="stochastic", rms_step=4.0)).residual
    assert publish(new, base=held, config=DomConfig(rms_step=4.0)).residual


def test_the_rotation_follows_from_the_base():
    base, new = _models(7)
    other = base | {"round": np.array(1)}
    payload = encode(new, base=base, config=ROTATED)
    assert payload == encode(new, base=base, config=ROTATED)
    with pytest.raises(UnknownBase):
        decode(payload, base=other)


@pytest.mark.parametrize("wrong", [{"rms_step": None}, {"rounding": "deadzone"}, {"format": 1}, {"lattice": True}])
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(BadArgument, match="rotated"):
        DomConfig(**{"rotated": True, "rms_step": 4.0} | wrong)


def _forged(payload, **changes):
    """Return a payload with another header, whose check sum is right."""
    envelope = read_envelope(payload)
    header = replace(read_header(envelope.header, envelope.version), **changes)
    return write_envelope(replace(envelope, header=write_header(header, envelope.version)))


def test_a_rotated_tensor_that_builds_on_nothing_is_corrupt():
    base, new = _models(8)
    payload = encode(new, base=base, config=DomConfig(rms_step=4.0, rotated=True, vector_error=None))
    info = inspect(payload, base=base)
    fresh = read_header(read_envelope(encode(new, config=DomConfig(format=1))).header, 1).fresh
    forged = _forged(payload, fresh=fresh, dropped=b"")
    lonely = write_envelope(replace(read_envelope(forged), base=None))
    assert {tensor.coding for tensor in info.tensors} == {"rotated"}
    with pytest.raises(Corrupt, match="builds on nothing"):
        decode(lonely)


def test_integers_beyond_any_encoder_are_corrupt():
    with pytest.raises(Corrupt, match="rotated integer"):
        Rotation(4, b"").unrotate(np.full(16, 2**50))


@given(count=st.integers(1, 5000), seed=st.binary(max_size=8))
@settings(max_examples=50, deadline=None)
def test_rotating_back_is_exact(count, seed):
    """The transform of integers is integers, and twice it is ``4**exponent`` times what it was."""
    rotation = Rotation(count, seed)
    assert count <= rotation.size <= count + max(16, count / 16)
    vector = np.random.default_rng(1).integers(-100, 100, count).astype(np.float32)
    back = rotation.unrotate(np.rint(rotation.rotate(vector) * 2**rotation.exponent).astype(np.int64))
    assert np.array_equal(back, vector * 4**rotation.exponent)


@pytest.mark.parametrize("share", [0.02, 0.05, 0.2, 0.5])
def test_a_budget_is_kept_and_used(share):
    base, new = _models(9, ((300, 200), (150, 100), (50,)))
    budget = int(share * sum(values.nbytes for values in new.values()) / 4)
    payload = encode(new, base=base, config=DomConfig(rotated=True, budget_bytes=budget))
    assert 0.98 * budget <= len(payload) <= budget
    assert "rotated" in {tensor.coding for tensor in inspect(payload).tensors}
    assert decode(payload, base=base).keys() == new.keys()


def test_a_budget_that_is_too_small_says_what_it_takes():
    base, new = _models(10)
    with pytest.raises(BadArgument, match="the least that this model can take is"):
        encode(new, base=base, config=DomConfig(rotated=True, budget_bytes=20))


def test_what_averaging_rounds_in_frozen_tensors_takes_no_place():
    random = np.random.default_rng(11)
    base = {"frozen": random.standard_normal((300, 300)).astype(np.float32), "w": _models(11)[0]["t0"]}
    mean = sum(base["frozen"] * np.float32(samples / 153) for samples in (32, 50, 71))
    new = {"frozen": mean, "w": base["w"] + random.standard_normal(base["w"].shape).astype(np.float32) * 0.01}
    assert not np.array_equal(new["frozen"], base["frozen"])
    coded = {tensor.name: tensor.coding for tensor in inspect(encode(new, base=base, config=ROTATED), base=base).tensors}
    assert coded == {"frozen": "lost", "w": "rotated"}


def test_small_changes_in_a_vector_arrive_in_the_mean():
    """Nothing is fed back, so rounding to nearest would lose them in each round anew."""
    base, _ = _models(12)
    held = start = base | {"bias": np.linspace(-1, 1, 64, dtype=np.float32)}
    steps = np.where(np.arange(64) == 0, 0.01, 0.0005).astype(np.float32)
    for number in range(40):
        moved = _models(number)[0]["t0"] * np.float32(0.01)
        new = held | {"bias": held["bias"] + steps, "t0": held["t0"] + moved}
        held = decode(encode(new, base=held, config=ROTATED), base=held)
    way = (held["bias"] - start["bias"])[1:].mean() / (40 * steps[1])
    assert way == pytest.approx(1, abs=0.2)


def test_a_budget_holds_for_a_model_without_base_too():
    _, new = _models(13, ((300, 200),))
    assert 19_600 <= len(encode(new, config=DomConfig(rotated=True, budget_bytes=20_000))) <= 20_000


def test_rotated_tensors_without_values_are_corrupt():
    base = {"w": np.zeros((0, 5), np.float32)}
    forged = _forged(
        encode(base, base=base, config=DomConfig()), codings=[Coding(ROTATED_KIND)], steps=[Step(0)], errors=b"\0"
    )
    with pytest.raises(Corrupt):
        decode(forged, base=base)


def test_rotated_tensors_have_no_ranks():
    base, new = _models(14, ((60, 50),))
    payload = encode(new, base=base, config=ROTATED)
    factors = replace(read_header(read_envelope(payload).header, 2).factors, ranks=b"\1")
    with pytest.raises(Corrupt):
        decode(_forged(payload, factors=factors), base=base)


@pytest.mark.parametrize(
    ("dtype", "rows", "rms_step"), [(ml_dtypes.bfloat16, 400, 0.01), (np.float32, 2, 4.0), (np.float32, 2, 0.1)]
)
def test_never_more_bytes_than_lossless(dtype, rows, rms_step):
    random = np.random.default_rng(3)
    base = {"w": random.standard_normal((400, 300)).astype(dtype), "few": random.standard_normal((4, 5)).astype(dtype)}
    new = {name: values.copy() for name, values in base.items()}
    for values in new.values():
        values[:rows] = (values[:rows].astype(np.float64) + 0.01 * random.standard_normal(values[:rows].shape)).astype(dtype)
    held = publish(base, base=None, config=DomConfig(lossless=True)).version
    published = publish(new, base=held, config=replace(ROTATED, rms_step=rms_step))
    assert len(published.payload) <= len(encode(new, base=base, config=DomConfig(lossless=True))) + 16
    assert digest(new) == digest(published.version.model) == digest(decode(published.payload, base=base))
    assert published.error == 0
