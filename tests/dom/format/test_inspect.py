import numpy as np
import pytest

from fedretina.dom import DomConfig, digest, encode, inspect
from fedretina.dom.tensors import raw_bytes


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


def test_a_difference_smaller_than_its_step_is_lost_not_unchanged():
    base = {"gone": np.zeros((9, 9), np.float32), "same": np.ones(9, np.float32)}
    new = base | {"gone": np.full((9, 9), 0.01, np.float32)}
    gone, same = inspect(encode(new, base=base, config=DomConfig(bits=0)), base=base).tensors
    assert (gone.coding, gone.error, same.coding, same.error) == ("lost", 1.0, "same", None)
