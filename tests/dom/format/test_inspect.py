from dataclasses import replace

import numpy as np
import pytest

from fedretina.dom import DomConfig, Version, accept, decode, digest, encode, inspect, publish
from fedretina.dom.format.envelope import read_envelope, write_envelope
from fedretina.dom.tensors import raw_bytes
from fedretina.errors import BadArgument, Corrupt, UnknownBase


def test_a_keyframe_says_everything(residual_cnn):
    model = residual_cnn()
    payload = encode(model, config=DomConfig(lattice=True, format=1))
    info = inspect(payload)
    assert (info.format_version, info.base, info.lattice, info.lossless) == (1, None, True, False)
    assert (info.payload_bytes, info.raw_bytes) == (len(payload), raw_bytes(model))
    assert {t.name: (t.dtype, t.shape) for t in info.tensors} == {
        name: (array.dtype.name, array.shape) for name, array in model.items()
    }
    codings = {t.name: t.coding for t in info.tensors}
    assert codings["layer0.conv1_norm.num_batches_tracked"] == "bits (pooled)"
    assert codings["classifier.bias"] == "same"
    assert codings["layer2.conv2.weight"].startswith("steps")


def test_a_delta_leaves_names_to_its_base(residual_cnn, trained):
    base = residual_cnn()
    new = trained(base) | {"added": base["classifier.bias"]}
    payload = encode(new, base=base)
    info = inspect(payload)
    assert info.base == digest(base)
    assert [t.name for t in info.tensors] == [None] * len(base) + ["added"]
    assert sorted(t.name for t in inspect(payload, base=base).tensors) == sorted(new)


@pytest.mark.parametrize("base", [None, "itself"])
def test_lossless_payloads_name_their_own_result(residual_cnn, base):
    model = residual_cnn()
    info = inspect(encode(model, base=model if base else None, config=DomConfig(lossless=True)))
    assert info.result == digest(model)
    assert info.lossless


USELESS = {
    "a prefix": ({"module.w": np.ones((3, 4), np.float32)}, "tensor 'module.w' is called 'w' in the base"),
    "a dtype": ({"w": np.ones((3, 4), np.float16)}, "tensor 'w' is float16 3x4, and float32 3x4 in the base"),
    "a shape": ({"w": np.ones((4, 4), np.float32)}, "tensor 'w' is float32 4x4, and float32 3x4 in the base"),
    "adapters": ({"lora.a": np.ones((3, 1), np.float32)}, "tensor 'lora.a' is not in the base"),
    "counters alone": ({"n": np.array(3), "x": np.ones(9)}, "tensor 'x' is not in the base"),
}


@pytest.mark.parametrize("case", USELESS)
@pytest.mark.parametrize("config", [DomConfig(), DomConfig(lossless=True), DomConfig(lattice=True)])
def test_a_base_without_any_counterpart_is_no_damage(case, config, caplog):
    new, reason = USELESS[case]
    if case == "a dtype":  # version 2 converts it, see test_converted.py
        config = replace(config, format=1)
    base = {"w": np.full((3, 4), 2, np.float32), "n": np.array(2)}
    payload = encode(new, base=base, config=config)
    assert f"the base is of no use: {reason}; the payload holds the whole model. Give a base with" in caplog.text
    assert decode(payload, base=base).keys() == new.keys()
    assert {tensor.name for tensor in inspect(payload, base=base).tensors} == new.keys()
    assert len(inspect(payload).tensors) == len(new)


def test_a_useful_base_is_not_complained_of(caplog, residual_cnn, trained):
    encode(trained(residual_cnn()) | {"added": np.ones(3)}, base=residual_cnn())
    encode({"n": np.array(3)}, base={"m": np.array(3)})
    encode({}, base={"m": np.ones(3)})
    assert caplog.text == ""


def test_another_base_is_no_damage():
    base = {"w": np.ones(9, np.float32), "v": np.ones(9, np.float32)}
    payload = encode({"w": np.zeros(9, np.float32)}, base=base)
    for other in ({}, {"w": base["w"]}, base | {"w": np.zeros(9, np.float32)}):
        with pytest.raises(UnknownBase, match=f"builds on version {digest(base)[:8]}, held is {digest(other)[:8]}"):
            inspect(payload, base=other)


def test_metadata_travels_as_format_version_2():
    model, metadata = {"w": np.ones(9, np.float32)}, {"format": "pt", "authors": "Łódź\n" * 99, "": ""}
    plain, described = encode(model), encode(model, metadata=metadata)
    assert (inspect(plain).format_version, inspect(plain).metadata) == (1, {})
    assert (inspect(described).format_version, inspect(described).metadata) == (2, metadata)
    assert inspect(described).result == inspect(plain).result
    assert digest(decode(described)) == digest(decode(plain))
    version = Version.of(model)
    delta = publish(model, base=version, metadata=metadata).payload
    assert accept(delta, base=version) == version
    assert inspect(delta).metadata == metadata


@pytest.mark.parametrize("metadata", [{"epoch": 7}, {7: "epoch"}, {"\ud800": ""}])
def test_metadata_that_is_no_text_is_refused(metadata):
    with pytest.raises(BadArgument, match="metadata"):
        encode({}, metadata=metadata)


@pytest.mark.parametrize("metadata", [b"\xc1", b"\x90", b"\x81\x01\x01", b"\x81\xa1a\x01", b"\x81\x01\xa1a", b"\x81" * 999])
def test_malformed_metadata_is_damage(metadata):
    envelope = read_envelope(encode({"w": np.ones(9, np.float32)}))
    payload = write_envelope(replace(envelope, metadata=metadata, version=2))
    for read in (inspect, decode):
        with pytest.raises(Corrupt, match="metadata"):
            read(payload)


def test_a_difference_smaller_than_its_step_is_lost_not_unchanged():
    base = {"gone": np.zeros((9, 9), np.float32), "same": np.ones(9, np.float32)}
    new = base | {"gone": np.full((9, 9), 0.01, np.float32)}
    gone, same = inspect(encode(new, base=base, config=DomConfig(bits=0)), base=base).tensors
    assert (gone.coding, gone.error, same.coding, same.error) == ("lost", 1.0, "same", None)


def test_factors_count_beside_what_is_pooled():
    """All of the body belongs to tensors: what predicts them too."""
    rng = np.random.default_rng(0)
    base = {name: rng.normal(size=(200, 120)).astype(np.float32) for name in "vw"}
    step = {name: 0.05 * rng.normal(size=(200, 2)) @ rng.normal(size=(2, 120)) for name in base}
    new = {
        name: (values + step[name] + 1e-3 * rng.normal(size=values.shape)).astype(np.float32)
        for name, values in base.items()
    }
    payload = encode(new, base=base, config=DomConfig(rms_step=2.0))
    tensors = inspect(payload, base=base).tensors
    assert all(tensor.rank for tensor in tensors)
    assert sum(tensor.bytes for tensor in tensors) == pytest.approx(len(read_envelope(payload).body))
