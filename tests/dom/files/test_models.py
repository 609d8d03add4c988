"""Models as files: what is read is what was written, and what is no model is told in one sentence."""

import io
import json
import os
import pickle
import resource
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fedretina.dom import MODEL_SUFFIXES, digest, encode, read_model, read_payload, write_model
from fedretina.dom.tensors import DTYPES
from fedretina.errors import BadArgument

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)


def _zeros_and_ones(dtype, shape):
    return (np.arange(np.prod(shape, dtype=int)) % 2).astype(dtype).reshape(shape)


TENSORS = st.builds(
    _zeros_and_ones, st.sampled_from(DTYPES), hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)
)


@pytest.mark.parametrize("suffix", MODEL_SUFFIXES)
@settings(max_examples=60, deadline=None)
@given(model=st.dictionaries(NAMES, TENSORS, max_size=5))
def test_what_is_read_is_what_was_written(tmp_path_factory, suffix, model):
    if suffix == ".npz":
        model = {name: array for name, array in model.items() if array.dtype != ml_dtypes.bfloat16}
    path = tmp_path_factory.mktemp("files") / f"model{suffix}"
    write_model(path, model)
    read = read_model(path)
    assert read.version.digest == digest(model)
    assert list(read.version.model) == sorted(model)
    for name, array in model.items():
        assert (read.version.model[name].dtype, read.version.model[name].shape) == (array.dtype, array.shape)
        assert read.version.model[name].tobytes() == array.tobytes()


def test_others_read_what_is_written_here(tmp_path, residual_cnn, identical):
    model = residual_cnn()
    write_model(tmp_path / "model.npz", model)
    with np.load(tmp_path / "model.npz") as file:
        assert identical(dict(file), model)
    write_model(tmp_path / "model.safetensors", model)
    assert identical(safetensors.numpy.load_file(tmp_path / "model.safetensors"), model)


def test_what_others_wrote_is_read_here(tmp_path, identical):
    model = {"w": np.arange(6, dtype=">f4").reshape(2, 3), "f": np.asfortranarray(np.arange(6.0).reshape(2, 3))}
    np.savez_compressed(tmp_path / "model.npz", **model)
    native = {"w": model["w"].astype("<f4"), "f": model["f"].copy("C")}
    assert identical(read_model(tmp_path / "model.npz").version.model, native)


def test_layouts_of_memory_do_not_matter(tmp_path):
    array = np.arange(24, dtype=">f4").reshape(4, 6)[:, ::2].T
    for suffix in MODEL_SUFFIXES:
        write_model(tmp_path / f"model{suffix}", {"w": array, "scalar": np.float32(3)})
        model = read_model(tmp_path / f"model{suffix}").version.model
        assert model["w"].tolist() == array.tolist()
        assert model["scalar"].shape == ()


def test_metadata_is_kept(tmp_path):
    path = tmp_path / "model.safetensors"
    write_model(path, {"w": np.ones(2)}, metadata={"format": "pt"})
    assert read_model(path).metadata == {"format": "pt"}
    write_model(path, {"w": np.ones(2)})
    assert read_model(path).metadata == {}


def test_others_may_read_it_as_they_may_read_any_new_file(tmp_path):
    (tmp_path / "other").touch()
    for suffix in MODEL_SUFFIXES:
        path = tmp_path / f"model{suffix}"
        write_model(path, {"w": np.ones(2)})
        assert path.stat().st_mode == (tmp_path / "other").stat().st_mode


def test_progress_adds_up_to_the_tensors(tmp_path, residual_cnn):
    path, steps = tmp_path / "model.safetensors", []
    write_model(path, residual_cnn())
    read_model(path, advance=steps.append)
    assert sum(steps) == sum(array.nbytes for array in residual_cnn().values())


def test_the_same_arrays_are_the_same_bytes(tmp_path, residual_cnn):
    for suffix in MODEL_SUFFIXES:
        paths = [tmp_path / f"{name}{suffix}" for name in "ab"]
        write_model(paths[0], residual_cnn())
        write_model(paths[1], dict(reversed(residual_cnn().items())))
        assert paths[0].read_bytes() == paths[1].read_bytes()


def test_a_safetensors_that_begins_as_pickles_do(tmp_path):
    """A header of 640 bytes gives the first two bytes of a pickle."""
    header = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).ljust(640)
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", 640) + header.encode() + struct.pack("<f", 1.5))
    assert path.read_bytes()[:2] == b"\x80\x02"
    assert read_model(path).version.model["w"].tolist() == [1.5]


class Bomb:
    def __reduce__(self):
        return (os._exit, (3,))


def _torch(**options):
    file = io.BytesIO()
    torch.save({"w": torch.ones(3)}, file, **options)
    return file.getvalue()


PICKLES = {
    "torch": _torch(),
    "torch_legacy": _torch(_use_new_zipfile_serialization=False),
    **{f"protocol_{protocol}": pickle.dumps({"w": Bomb()}, protocol) for protocol in (2, 3, 4, 5)},
}


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".pkl", ".npz", ".safetensors", ".weights", ""])
@pytest.mark.parametrize("kind", PICKLES)
def test_pickles_are_refused_whatever_their_name(tmp_path, kind, suffix):
    path = tmp_path / f"model{suffix}"
    path.write_bytes(PICKLES[kind])
    with pytest.raises(BadArgument, match="is a pickle") as caught:
        read_model(path)
    assert "\n    fedretina dom convert " in str(caught.value)


def test_pickles_within_npz_are_refused(tmp_path):
    path = tmp_path / "model.npz"
    np.savez(path, w=np.array([Bomb()], dtype=object))
    with pytest.raises(BadArgument, match=r"w\.npy holds Python objects, .* allowed: numbers; save numbers only"):
        read_model(path)


def test_a_name_of_pickles_is_enough_where_the_content_says_nothing(tmp_path):
    for suffix in (".pt", ".pth", ".bin", ".pkl"):
        path = tmp_path / f"model{suffix}"
        path.write_bytes(pickle.dumps([1], 0))
        with pytest.raises(BadArgument, match="is a pickle"):
            read_model(path)


def _safetensors(**arrays):
    return safetensors.numpy.save(arrays)


def _npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def _zip(**members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def _npy(shape):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return file.getvalue()


def _header(**entries):
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text + bytes(4)


ONE = np.ones(1000, np.float32)
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21\nsize 12345\n"
F8 = {"w": {"dtype": "F8_E4M3", "shape": [1], "data_offsets": [0, 1]}}
BROKEN = {
    "empty.safetensors": (b"", r"is empty \(0 bytes\); get or make it again"),
    "empty.npz": (b"", r"is empty \(0 bytes\)"),
    "empty.pt": (b"", r"is empty \(0 bytes\)"),
    "text.safetensors": (b"a text", "is damaged or no .safetensors: it ends within its header"),
    "lfs.safetensors": (LFS, "is no model but a Git LFS pointer: the model itself was not fetched"),
    "page.safetensors": (b"<!DOCTYPE html>", "is no model but a web page: the download went wrong"),
    "error.safetensors": (b"<?xml version='1.0'?><Error/>", "is no model but an error message of a server"),
    "m.gguf": (b"GGUF\3\0\0\0", "is no model but a GGUF file; save the model as .safetensors"),
    "w.npy": (_npy((0,)), r"is no model but one array \(\.npy\); save named arrays with numpy\.savez"),
    "m.keras": (_zip(**{"config.json": "{}"}), "of an unknown kind; give a model as .safetensors or .npz"),
    "text.npz": (b"a text", "is damaged or no .npz; get or make it again"),
    "lfs.npz": (LFS, "a Git LFS pointer"),
    "lfs.pth": (LFS, "a Git LFS pointer"),
    "cut.safetensors": (_safetensors(w=ONE)[:-3], "is incomplete: it holds 3997 of 4000 bytes of tensors"),
    "cut_header.safetensors": (_safetensors(w=ONE)[:30], "ends within its header"),
    "cut.npz": (_npz(w=ONE)[:-30], "is damaged or no .npz"),
    "flipped.npz": (_npz(w=ONE).replace(b"\0\x80?", b"\0\x81?", 1), "is damaged or no .npz"),
    "float8.safetensors": (struct.pack("<Q", 72) + json.dumps(F8).ljust(72).encode() + b"0", "'w' has dtype F8_E4M3"),
    "huge.safetensors": (_header(w={"dtype": "F32", "shape": [2**32], "data_offsets": [0, 4]}), "holds 17179869184 bytes"),
    "object.safetensors": (_header(w=7), "is damaged: its header is no list of tensors"),
    "list.safetensors": (struct.pack("<Q", 2) + b"[]" + bytes(20), "is damaged: its header is no list of tensors"),
    "offsets.safetensors": (_header(w={"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}), "is damaged: its header and"),
    "bfloat16.npz": (_npz(w=np.ones(3, ml_dtypes.bfloat16)), r"w.npy has dtype \|V2, as which numpy saves bfloat16"),
    "text_array.npz": (_npz(w=np.array(["a"])), "'w' has dtype <U1"),
    "member.npz": (_zip(readme="text"), "the member 'readme', which is no array"),
    "twice.npz": (_zip(**{"w.npy": _npy((0,)), "v.npy": _npy((0,))}).replace(b"v.npy", b"w.npy"), "or there twice"),
    "huge.npz": (_zip(**{"w.npy": _npy((2**60,))}), "is damaged or no .npz"),
    "negative.npz": (_zip(**{"w.npy": _npy((-1,))}), "is damaged or no .npz"),
    "misnamed.npz": (_safetensors(w=ONE), "holds safetensors; rename it to misnamed.safetensors"),
    "misnamed.safetensors": (_npz(w=ONE), "holds npz; rename it to misnamed.npz"),
    "misnamed.pt": (_safetensors(w=ONE), "holds safetensors; rename it to misnamed.safetensors"),
    "model.h5": (b"\x89HDF\r\n", "is no model but an HDF5 file; save the model as .safetensors"),
    "model.txt": (b"weights", "of an unknown kind; give a model as .safetensors or .npz"),
    "model": (b"weights", "of an unknown kind"),
    "up.dom": (encode({"w": ONE}), "is a DoM payload"),
    "payload.safetensors": (encode({"w": ONE}), "is a DoM payload"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_model_is_told(tmp_path, name):
    data, reason = BROKEN[name]
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(BadArgument, match=reason) as caught:
        read_model(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_zip_that_unpacks_to_too_much_is_not_unpacked(tmp_path, monkeypatch):
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, w=np.zeros(2_000_000, np.float32))
    monkeypatch.setattr("fedretina.dom.files.npz.MAX_RAW_BYTES", 10**6)
    with pytest.raises(BadArgument, match="unpacks to more than"):
        read_model(path)


def test_encrypted_zips_are_told(tmp_path):
    data = bytearray(_npz(w=ONE))
    for signature, flags in ((b"PK\1\2", 8), (b"PK\3\4", 6)):
        data[data.index(signature) + flags] |= 1
    (tmp_path / "model.npz").write_bytes(data)
    with pytest.raises(BadArgument, match="is encrypted; save the arrays without a password"):
        read_model(tmp_path / "model.npz")


@pytest.mark.parametrize("read", [read_model, read_payload])
def test_missing_files_and_folders(tmp_path, read):
    with pytest.raises(BadArgument, match=r"none\.npz cannot be read: No such file"):
        read(tmp_path / "none.npz")
    (tmp_path / "folder").mkdir()
    with pytest.raises(BadArgument, match="cannot be read: Is a directory"):
        read(tmp_path / "folder")
    with pytest.raises(BadArgument, match="File name too long"):
        read(tmp_path / ("x" * 300))


UNWRITABLE = {
    "bfloat16.npz": ({"w": np.ones(2, ml_dtypes.bfloat16)}, "'w' is bfloat16, which .npz cannot hold"),
    "zero.npz": ({"a\0b": np.ones(2)}, "a name that .npz would cut short"),
    "reserved.safetensors": ({"__metadata__": np.ones(2)}, "'__metadata__' has a name that .safetensors keeps for itself"),
    "model.pt": ({"w": np.ones(2)}, "should end in .safetensors or .npz"),
}


@pytest.mark.parametrize("name", UNWRITABLE)
def test_what_a_format_cannot_hold_leaves_the_old_file(tmp_path, name):
    model, reason = UNWRITABLE[name]
    (tmp_path / name).write_bytes(b"old")
    with pytest.raises(BadArgument, match=reason):
        write_model(tmp_path / name, model)
    assert (tmp_path / name).read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("suffix", MODEL_SUFFIXES)
def test_a_full_disk_leaves_the_old_file(tmp_path, suffix):
    path = tmp_path / f"model{suffix}"
    write_model(path, {"w": ONE[:3]})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(BadArgument, match=r"cannot be written.*File too large"):
            write_model(path, {"w": ONE})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert read_model(path).version.model["w"].size == 3
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", MODEL_SUFFIXES)
def test_damage_anywhere_is_told_or_harmless(tmp_path, suffix):
    """Cut at every byte, and every byte changed: a model or our own error, never another one."""
    path = tmp_path / f"model{suffix}"
    write_model(path, {"w": np.arange(4, dtype=np.int16), "b": np.ones((2, 1))})
    data = path.read_bytes()
    told = 0
    for at in range(len(data)):
        for damaged in (data[:at], data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :]):
            path.write_bytes(damaged)
            try:
                read_model(path)
            except BadArgument:
                told += 1
    assert told > len(data)


def test_safetensors_is_no_dependency_of_dom():
    code = "import sys, fedretina.dom; print({'safetensors', 'torch', 'flwr', 'rich', 'typer'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "set()\n"
    assert Path(sys.modules["safetensors"].__file__).exists()  # here it is
