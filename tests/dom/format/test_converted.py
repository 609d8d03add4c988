"""A model over a base of another floating-point dtype is a difference (format version 2)."""

from dataclasses import replace

import ml_dtypes
import numpy as np
import pytest

from fedretina.dom import DomConfig, Version, accept, decode, encode, inspect, publish
from fedretina.dom.format.envelope import read_envelope, write_envelope
from fedretina.dom.format.header import read_header, write_header
from fedretina.errors import Corrupt

RNG = np.random.default_rng(0)
WEIGHT = RNG.standard_normal((128, 96))
MOVED = WEIGHT + 0.02 * RNG.standard_normal((128, 96))


def model(weight, dtype):
    return {"w": weight.astype(dtype), "b": weight[0].astype(dtype), "n": np.arange(3)}


@pytest.mark.parametrize("old", [np.float32, ml_dtypes.bfloat16, np.float64])
@pytest.mark.parametrize("new", [ml_dtypes.bfloat16, np.float32, np.float16])
@pytest.mark.parametrize(
    "config", [DomConfig(), DomConfig(lossless=True), DomConfig(rms_step=0.5), DomConfig(budget_bytes=6000)]
)
def test_another_dtype_is_a_difference(old, new, config, identical):
    base, moved = Version.of(model(WEIGHT, old)), model(MOVED, new)
    published = publish(moved, base=base, config=config)
    assert accept(published.payload, base=base) == published.version
    whole = len(encode(moved, config=DomConfig(lossless=config.lossless)))
    assert len(published.payload) < (0.9 if config.lossless else 0.5) * whole
    if config.lossless:
        assert identical(decode(published.payload, base=base.model), moved)


def test_an_unchanged_model_in_another_dtype_takes_no_body():
    base = model(WEIGHT, np.float32)
    payload = encode(model(WEIGHT, ml_dtypes.bfloat16), base=base)
    assert not read_envelope(payload).body
    assert inspect(payload).format_version == 2


def test_a_base_beyond_the_dtypes_range_is_of_no_use(identical):
    base = {"w": np.full((9, 9), 1e30, np.float32)}
    new = {"w": RNG.standard_normal((9, 9)).astype(np.float16)}
    assert not read_header(read_envelope(encode(new, base=base)).header).converted
    assert identical(decode(encode(new, base=base, config=DomConfig(lossless=True)), base=base), new)


def test_integers_and_other_shapes_are_not_converted(identical):
    base = {"i": np.arange(9, dtype=np.int32), "f": np.ones((2, 3), np.float32)}
    new = {"i": np.arange(9, dtype=np.int64), "f": np.ones((3, 2), np.float16)}
    assert identical(decode(encode(new, base=base), base=base), new)


def test_version_1_and_lattices_start_anew():
    base, new = model(WEIGHT, np.float32), model(MOVED, ml_dtypes.bfloat16)
    for config in (DomConfig(format=1), DomConfig(lattice=True)):
        payload = encode(new, base=base, config=config)
        assert inspect(payload).format_version == 1
        assert decode(payload, base=base)["w"].dtype == new["w"].dtype


def test_hostile_headers_cannot_convert_what_is_not_there():
    base, new = model(WEIGHT, np.float32), model(MOVED, ml_dtypes.bfloat16)
    envelope = read_envelope(encode(new, base=base))
    header = read_header(envelope.header, 2)
    for specs in (
        [replace(spec, name=spec.name + "x") for spec in header.fresh],
        [replace(spec, shape=(2, 2)) for spec in header.fresh],
    ):
        hostile = replace(header, fresh=specs, raw_bytes=24 + sum(spec.nbytes for spec in specs))
        with pytest.raises(Corrupt):
            decode(write_envelope(replace(envelope, header=write_header(hostile, 2))), base=base)
    for converted in (b"", b"\0", b"\xff\xff"):
        with pytest.raises(Corrupt):
            decode(
                write_envelope(replace(envelope, header=write_header(replace(header, converted=converted), 2))), base=base
            )
