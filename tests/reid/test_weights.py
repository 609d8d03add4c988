"""Weights files as people have them: each is loaded, or refused in one sentence of ours that says what to do."""

import argparse
import io
import re
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save, save_file

from fedretina.errors import BadArgument
from fedretina.reid.models import build
from fedretina.reid.weights import read_weights

ADVICE = re.compile(r"weights_only|safe_globals|add_safe|file an issue|InvalidHeader|pytorch\.org", re.IGNORECASE)


def make(weights="", classes=5):
    return build("small", classes, height=64, width=32, weights=weights)


def refused(path):
    with pytest.raises(BadArgument, match=re.escape(str(path))) as caught:
        make(path)
    text = str(caught.value)
    assert not ADVICE.search(text), text
    return text


def stored(content):
    stream = io.BytesIO()
    torch.save(content, stream)
    return stream.getvalue()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_values_that_are_not_finite_are_refused_and_named(tmp_path, value, suffix):
    state = make().state_dict()
    state["reduce.weight"].view(-1)[:3] = value
    path = tmp_path / f"w{suffix}"
    path.write_bytes(save(state) if suffix == ".safetensors" else stored(state))
    count = state["reduce.weight"].numel()
    assert f"has NaN or infinite values in reduce.weight (3 of {count})" in refused(path)


def test_values_that_are_finite_in_the_file_alone_are_refused(tmp_path):
    state = {name: value.double() if value.is_floating_point() else value for name, value in make().state_dict().items()}
    torch.save(state, tmp_path / "double.pth")
    make(tmp_path / "double.pth")
    state["reduce.weight"].view(-1)[0] = 1e300
    torch.save(state, tmp_path / "double.pth")
    assert "has NaN or infinite values in reduce.weight (1 of" in refused(tmp_path / "double.pth")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floating_dtypes_are_taken(tmp_path, dtype):
    donor = make()
    state = {k: v.to(dtype) if v.is_floating_point() else v for k, v in donor.state_dict().items()}
    save_file(state, tmp_path / "w.safetensors")
    mine = make(tmp_path / "w.safetensors").state_dict()
    assert mine["reduce.weight"].dtype == torch.float32
    assert torch.equal(mine["reduce.weight"], donor.state_dict()["reduce.weight"].to(dtype).float())


KINDS = {
    "int8": lambda w: w.to(torch.int8),
    "complex64": lambda w: w.to(torch.complex64),
    "qint8": lambda w: torch.quantize_per_tensor(w, 0.1, 0, torch.qint8),
    "float32 sparse_coo": lambda w: w.to_sparse(),
    "float32 without data": lambda w: w.to("meta"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_tensors_of_another_kind_are_refused(tmp_path, kind):
    state = make().state_dict()
    state["reduce.weight"] = KINDS[kind](state["reduce.weight"])
    torch.save(state, tmp_path / "odd.pth")
    assert f"has values of another kind in reduce.weight ({kind} instead of float32)" in refused(tmp_path / "odd.pth")


def test_counts_of_batches_that_were_averaged_are_taken(tmp_path):
    state = {k: v.float() if k.endswith("num_batches_tracked") else v for k, v in make().state_dict().items()}
    torch.save(state, tmp_path / "ema.pth")
    make(tmp_path / "ema.pth")


@pytest.mark.parametrize("name", ["state_dict", "model_state_dict", "model", "net"])
def test_checkpoints_of_training_programs_are_read(tmp_path, name):
    donor = make()
    torch.save({"epoch": 3, "optimizer": {"lr": 0.1}, name: donor.state_dict()}, tmp_path / "last.pth")
    mine = make(tmp_path / "last.pth")
    assert torch.equal(mine.state_dict()["reduce.weight"], donor.state_dict()["reduce.weight"])


OTHERS = {
    "is empty (0 bytes)": b"",
    "is a pointer of Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n",
    "is a web page": b"\n<!DOCTYPE html><html></html>",
    "is a gzip archive": b"\x1f\x8b\x08\x00" + bytes(20),
    "cannot be read as tensors": b"no tensors here, but more than a few bytes",
}


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".pt", ".PTH"])
@pytest.mark.parametrize("said", OTHERS)
def test_what_downloads_leave_is_told(tmp_path, said, suffix):
    path = tmp_path / f"w{suffix}"
    path.write_bytes(OTHERS[said])
    assert said in refused(path)


HELD = {
    "Python objects (argparse.Namespace)": {"args": argparse.Namespace(lr=1)},
    "Python objects (torch.nn.modules.linear.Linear)": torch.nn.Linear(2, 2),
    "Python objects (numpy._core.multiarray.scalar)": {"best": np.float64(3)},
}


@pytest.mark.parametrize("said", HELD)
def test_files_with_objects_are_refused_without_the_advice_to_run_them(tmp_path, said):
    torch.save(HELD[said], tmp_path / "whole.pth")
    text = refused(tmp_path / "whole.pth")
    assert f"holds {said}, which could run any code" in text
    assert "torch.save(model.state_dict(), 'whole.pth')" in text


def test_the_advice_of_that_error_works(tmp_path):
    model, path = make(), tmp_path / "whole.pth"
    torch.save({"model": model, "args": argparse.Namespace(lr=1)}, path)
    (advice,) = re.findall(r"torch\.save\(.*?\)\)?, '.*?'\)", refused(path))
    exec(advice.replace("'whole.pth'", "path"), {"torch": torch, "model": model, "path": path})
    assert torch.equal(make(path).state_dict()["reduce.weight"], model.state_dict()["reduce.weight"])


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_torchscript_is_told(tmp_path):
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), tmp_path / "program.pt")
    assert "holds a TorchScript program" in refused(tmp_path / "program.pt")


@pytest.mark.parametrize(
    "content", [{}, {"epoch": 3}, [torch.zeros(1)], {0: torch.zeros(1)}, torch.zeros(2), {"model": {}}, 3]
)
def test_what_is_no_state_dictionary(tmp_path, content):
    torch.save(content, tmp_path / "odd.pth")
    assert "must hold a state dictionary" in refused(tmp_path / "odd.pth")


def test_a_wrong_name_is_told_and_the_right_one_works(tmp_path):
    state = make().state_dict()
    (tmp_path / "a.pth").write_bytes(save(state))
    (tmp_path / "b.safetensors").write_bytes(stored(state))
    for name, other in (("a.pth", "a.safetensors"), ("b.safetensors", "b.pth")):
        assert f"rename it to {other}" in refused(tmp_path / name)
        (tmp_path / name).rename(tmp_path / other)
        make(tmp_path / other)


def test_a_folder_and_an_unknown_suffix(tmp_path):
    (tmp_path / "w.pth").mkdir()
    assert "is a folder" in refused(tmp_path / "w.pth")
    (tmp_path / "model.pth.tar-60").write_bytes(stored(make().state_dict()))
    assert "must end in .safetensors, .pth or .pt: rename it" in refused(tmp_path / "model.pth.tar-60")


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_truncated_files(tmp_path, suffix):
    path, state = tmp_path / f"w{suffix}", {"w": torch.zeros(40)}
    whole = save(state) if suffix == ".safetensors" else stored(state)
    for length in range(1, len(whole), 61):
        path.write_bytes(whole[:length])
        with pytest.raises(BadArgument, match=re.escape(str(path))) as caught:
            read_weights(path)
        assert not ADVICE.search(str(caught.value))


def test_an_archive_of_something_else(tmp_path):
    with zipfile.ZipFile(tmp_path / "w.pth", "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert "cannot be read as tensors" in refused(tmp_path / "w.pth")
