"""What every codec must do, at several settings each; those whose packages are not installed are skipped."""

from itertools import pairwise

import ml_dtypes
import numpy as np
import pytest

from fedretina.dom import PRESETS, DomConfig
from fedretina.errors import BadArgument, FedRetinaError
from fedretina.study.codecs import State, codecs, create
from fedretina.study.codecs.lossless import Lossless
from fedretina.study.codecs.nncodec import nncodec_is_available

SETTINGS = [
    *(("none", {}), ("fp16", {}), ("bf16", {}), ("int8", {}), ("int8-blocks", {}), ("int8-blocks", {"block": 64})),
    *(("eden", {}), ("eden", {"bits": 4}), ("eden", {"share": 0.1}), ("dom", {"rms_step": 4, "rotated": True})),
    *(("dom", {"preset": "balanced"}), ("nf4", {}), ("qsgd", {})),
    *(("qsgd", {"bits": 2}), ("qsgd", {"bits": 8}), ("stc", {}), ("stc", {"share": 0.1})),
    *(("topk", {}), ("topk", {"share": 0.5}), ("ef21", {}), ("ef21", {"share": 0.2}), ("sparseloco", {})),
    *(("sparseloco", {"k": 512}), ("sparseloco", {"positions": "rice"}), ("sign", {}), ("sign", {"decay": 1.0})),
    *(("powersgd", {}), ("powersgd", {"rank": 8}), ("zstd", {}), ("zipnn", {}), ("nncodec", {}), ("dom", {})),
    *(("dom", {"relative_error": 0.9, "effort": "small"}), ("dom", {"bits": 3}), ("dom", {"lossless": True})),
]
FEEDBACK = [
    *(("stc", {"share": 0.05}), ("topk", {"share": 0.05}), ("sparseloco", {}), ("sparseloco", {"decay": 1.0})),
    *(("sign", {"decay": 1.0}), ("powersgd", {}), ("int8", {"decay": 1.0}), ("nf4", {"decay": 1.0})),
    *(("qsgd", {"bits": 4, "decay": 0.5}), ("dom", {"relative_error": 0.9}), ("none", {"decay": 1.0})),
    *(("fp16", {"decay": 1.0}), ("bf16", {"decay": 1.0}), ("int8-blocks", {"decay": 1.0}), ("zstd", {"decay": 1.0})),
    *(("zipnn", {"decay": 1.0}), ("nncodec", {"decay": 1.0}), ("eden", {"bits": 4, "decay": 0.5})),
]
NO_RESIDUAL = {"ef21"}  # an estimate in its place; tested below


def make(name, settings):
    codec = create(name, **settings)
    if isinstance(codec, Lossless) and not codec.is_usable():
        pytest.skip(f"{codec.package} is not installed")
    if name == "nncodec" and not nncodec_is_available():
        pytest.skip("no interpreter has nncodec")
    return codec


def update(seed=0, scale=1e-3):
    rng = np.random.default_rng(seed)
    shapes = {"blocks": (128, 192), "conv": (40, 24, 3, 3), "odd": (31, 97), "vector": (130,)}
    return {name: (scale * rng.normal(size=shape)).astype(np.float32) for name, shape in shapes.items()}


SMALL = {
    "empty": np.zeros((0, 3), np.float32),
    "scalar": np.float32(0.5).reshape(()),
    "one": np.float32([-2e-3]),
    "two": np.float32([[1e-3], [-1e-3]]),
    "zeros": np.zeros((3, 5), np.float32),
}


def distance(a, b):
    return float(np.sqrt(sum(np.square(a[name].astype(np.float64) - b[name].astype(np.float64)).sum() for name in a)))


def sent(codec, values, **state):
    return codec.decode(codec.encode(values, State.of(values, **state)), State.of(values, **state))


def test_every_codec_is_in_the_battery():
    assert {name for name, _ in SETTINGS} == set(codecs())


@pytest.mark.parametrize(("name", "settings"), SETTINGS)
class TestEvery:
    def test_shapes_and_dtypes_come_back(self, name, settings):
        values = update()
        found = sent(make(name, settings), values)
        assert {n: (a.shape, a.dtype) for n, a in found.items()} == {n: (a.shape, a.dtype) for n, a in values.items()}

    def test_the_error_is_within_the_stated_one(self, name, settings):
        codec = make(name, settings)
        for values in (update(), update(1, scale=1e-6), SMALL):
            found = sent(codec, values)
            assert distance(values, found) <= codec.largest_error(values)
            assert all(np.isfinite(array).all() for array in found.values())

    def test_empty_and_tiny_tensors_come_back(self, name, settings):
        codec = make(name, settings)
        for key, array in SMALL.items():
            found = sent(codec, {key: array})[key]
            assert (found.shape, found.dtype) == (array.shape, array.dtype)
        assert sent(codec, {}) == {}

    def test_zeros_stay_zeros(self, name, settings):
        values = {key: np.zeros_like(array) for key, array in update().items()}
        assert distance(sent(make(name, settings), values), values) == 0

    def test_half_precision_comes_back(self, name, settings):
        for dtype in (np.float16, ml_dtypes.bfloat16):
            values = {key: array.astype(dtype) for key, array in update().items()}
            found = sent(make(name, settings), values)
            assert {array.dtype for array in found.values()} == {np.dtype(dtype)}

    def test_same_seed_same_bytes(self, name, settings):
        codec = make(name, settings)
        ends = [State.of(update(), seed=3) for _ in range(2)]
        for seed in range(3):
            first, second = (codec.encode(update(seed), end) for end in ends)
            assert first == second

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_what_is_not_finite_is_refused(self, name, settings, bad):
        values = update()
        values["odd"][3, 4] = bad
        with pytest.raises(BadArgument, match="'odd' of the update holds NaN or infinity"):
            make(name, settings).encode(values, State.of(values))

    def test_other_tensors_than_the_states_are_refused(self, name, settings):
        codec, values = make(name, settings), update()
        state = State.of(values)
        with pytest.raises(BadArgument, match="extra"):
            codec.encode(values | {"extra": values["odd"]}, state)
        with pytest.raises(BadArgument, match="shape"):
            codec.encode(values | {"odd": values["odd"].T}, state)
        with pytest.raises(BadArgument, match="dtype"):
            codec.encode(values | {"odd": values["odd"].astype(np.float64)}, state)

    def test_the_caller_keeps_his_arrays(self, name, settings):
        values = update()
        make(name, settings).encode(values, State.of(values))
        assert distance(values, update()) == 0

    def test_truncated_bytes_are_refused(self, name, settings):
        codec, values = make(name, settings), update()
        if name == "nncodec":
            pytest.skip("the package itself does not end on truncated streams")
        data = codec.encode(values, State.of(values))
        for end in (0, len(data) // 2, len(data) - 1):
            with pytest.raises((FedRetinaError, RuntimeError)):
                codec.decode(data[:end], State.of(values))


def test_every_codec_with_a_residual_is_tested_for_it():
    assert {name for name, _ in FEEDBACK} | NO_RESIDUAL == set(codecs())


@pytest.mark.parametrize(("name", "settings"), FEEDBACK)
def test_error_feedback_telescopes(name, settings):
    """What was sent, plus what is left, is what was meant; with a decay, what is left fades by it every round."""
    codec = make(name, settings)
    sender, receiver = State.of(update()), State.of(update())
    expected = {key: np.zeros(array.shape) for key, array in update().items()}
    for seed in range(12):
        values = update(seed)
        found = codec.decode(codec.encode(values, sender), receiver)
        expected = {key: codec.decay * e + values[key] - found[key].astype(np.float64) for key, e in expected.items()}
        assert distance(expected, sender.residual) < 1e-4 * distance(values, {key: 0 * a for key, a in values.items()})


@pytest.mark.parametrize("name", ["stc", "topk", "sparseloco", "powersgd", "ef21", "dom"])
def test_feedback_brings_all_of_a_constant_update(name):
    """The mean of what arrives goes to what was meant; without feedback the same values are lost again and again."""
    settings = {"sparseloco": {"decay": 1.0, "k": 512}, "dom": {"relative_error": 0.9}, "powersgd": {"rank": 8}}
    codec, values = create(name, **settings.get(name, {"share": 0.1})), update()
    sender, receiver = State.of(values), State.of(values)
    arrived = [codec.decode(codec.encode(values, sender), receiver) for _ in range(60)]
    last = {key: np.mean([one[key] for one in arrived[-30:]], axis=0) for key in values}
    once = distance(values, arrived[0])
    assert distance(values, last) < 0.35 * once


def test_both_ends_of_ef21_have_one_estimate_that_comes_nearer():
    codec, values = create("ef21", share=0.1), update()
    sender, receiver = State.of(values), State.of(values)
    errors = []
    for _ in range(10):
        found = codec.decode(codec.encode(values, sender), receiver)
        assert distance(found, sender.memory["estimate"]) == 0
        errors.append(distance(values, found))
    contraction = (1 - codec.share) ** 0.5
    assert all(after <= contraction * before * 1.001 for before, after in pairwise(errors))


@pytest.mark.parametrize("settings", [{"rotated": True}, {"rounding": "stochastic"}])
def test_what_is_right_in_the_mean_takes_no_feedback(settings):
    assert create("dom", rms_step=4, **settings).decay is None
    with pytest.raises(BadArgument, match="right in the mean"):
        create("dom", rms_step=4, decay=1.0, **settings)


def test_settings_with_down_replace_others_on_the_way_down():
    codec = create("qsgd", bits=2, bucket=2048, down_bits=4)
    assert (codec.bits, codec.down.bits, codec.down.bucket) == (2, 4, 2048)
    assert create("qsgd").down is None
    with pytest.raises(BadArgument, match="no setting down_step; it has: bits, bucket, decay; each also with down_"):
        create("qsgd", down_step=4)


def test_a_preset_of_ours_has_a_configuration_for_each_direction():
    codec = create("dom", preset="coarse", decay=0.5)
    assert (codec.config, codec.down.config) == (PRESETS["coarse"].up, PRESETS["coarse"].down)
    assert codec.decay == codec.down.decay == 0.5
    for wrong in ({"preset": "finest"}, {"preset": "fine", "bits": 3}, {"preset": "fine", "down_bits": 3}):
        with pytest.raises(BadArgument, match="preset"):
            create("dom", **wrong)


def test_a_decay_of_none_keeps_no_residual():
    state = State.of(update())
    create("topk", decay=None).encode(update(), state)
    assert state.residual == {}


def test_integers_are_no_update():
    values = {"count": np.arange(3)}
    with pytest.raises(BadArgument, match="codecs code floats"):
        create("none").encode(values, State.of(values))


def test_dom_keeps_its_error_with_a_base_and_without():
    values = update()
    base = {key: np.random.default_rng(1).normal(size=a.shape).astype(np.float32) for key, a in values.items()}
    codec = create("dom", relative_error=0.25)
    for state in ({}, {"base": base}):
        assert distance(values, sent(codec, values, **state)) < 0.27 * distance(
            values, {k: 0 * a for k, a in values.items()}
        )
    assert codec.config == DomConfig(relative_error=0.25)


@pytest.mark.parametrize("name", ["zstd", "zipnn"])
def test_a_package_that_is_missing_is_named(name, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    values = update()
    with pytest.raises(BadArgument, match="needs the package"):
        create(name).encode(values, State.of(values))


def test_nncodec_names_the_variable_that_it_needs(monkeypatch):
    monkeypatch.delenv("FEDRETINA_NNCODEC_PYTHON", raising=False)
    values = update()
    with pytest.raises(BadArgument, match="FEDRETINA_NNCODEC_PYTHON"):
        create("nncodec").encode(values, State.of(values))
