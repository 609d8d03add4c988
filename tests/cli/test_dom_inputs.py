"""Files that broke neighbouring projects, by the public report: each is read, or refused in one sentence of ours."""

import io
import json
import os
import re
import shlex
import struct
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
import torch
from typer.testing import CliRunner

from fedretina.cli import app
from fedretina.dom import read_model, write_model

runner = CliRunner()
ONE = {"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_model(Path("good.safetensors"), {"w": np.linspace(-1, 1, 600, dtype=np.float32).reshape(20, 30)})


def dom(*arguments):
    result = runner.invoke(app, ["dom", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def raw_safetensors(header, data=bytes(4)):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def changed(part):
    """A file whose only tensor has other entries."""
    return raw_safetensors({"w": ONE["w"] | part})


def zipped(**members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


PADDED = json.dumps(ONE).encode()
NPY = npy(np.ones(3, np.float32))
READ = {
    "safetensors 601: metadata without tensors": (
        "a.safetensors",
        safetensors.numpy.save({}, metadata={"crc": "12"}),
        set(),
    ),
    "safetensors format: padded header": ("a.safetensors", raw_safetensors(PADDED.ljust(96)), {"w"}),
    "safetensors format: metadata is null": ("a.safetensors", raw_safetensors({"__metadata__": None} | ONE), {"w"}),
    "a header of 60 bytes, which begins with '<'": (
        "a.safetensors",
        raw_safetensors(PADDED.ljust(60)),
        {"w"},
    ),
    "flower 886, 4344: tensors without dimensions": (
        "a.npz",
        npz(n=np.array(3), f=np.float32(1.5), b=np.True_),
        {"n", "f", "b"},
    ),
    "numpy: arrays without names": ("a.npz", npz(arr_0=np.ones(3), arr_1=np.zeros((2, 2))), {"arr_0", "arr_1"}),
    "zipped again on a Mac": ("a.npz", zipped(**{"w.npy": NPY, "__MACOSX/._w.npy": b"\0\5\x16\7"}), {"w"}),
    "zipped with a folder": ("a.npz", zipped(**{"sub/": b"", "sub/w.npy": NPY}), {"sub/w"}),
    "hugging face's cache: a file without suffix": ("4d7a2146", safetensors.numpy.save({"w": np.ones(3)}), {"w"}),
    "windows: an upper-case suffix": ("A.SAFETENSORS", safetensors.numpy.save({"w": np.ones(3)}), {"w"}),
    "names that look alike (NFC, NFD), or have no letter": (
        "a.safetensors",
        safetensors.numpy.save({"\u00e9": np.ones(2), "e\u0301": np.ones(2), "": np.ones(2), "a\nb": np.ones(2)}),
        {"\u00e9", "e\u0301", "", "a\nb"},
    ),
    "tensors without elements": ("a.npz", npz(a=np.ones((0, 3), np.float32), b=np.ones((1, 0, 2))), {"a", "b"}),
    "denormal numbers": ("a.npz", npz(w=(np.arange(9000) % 7 * 1e-45).astype(np.float32).reshape(90, 100)), {"w"}),
    "the extremes of half precision": ("a.npz", npz(h=np.resize(np.float16([65504, -65504]), (90, 100))), {"h"}),
}


@pytest.mark.parametrize("report", READ)
@pytest.mark.parametrize("options", [[], ["--lossless"], ["--budget", "9kB"]])
def test_what_is_read(report, options):
    name, data, names = READ[report]
    Path(name).write_bytes(data)
    code, said = dom("encode", name, *options, "-o", "a.dom")
    assert code == 0, said
    assert dom("inspect", "a.dom")[0] == 0
    assert dom("decode", "a.dom", "-o", "back.safetensors")[0] == 0
    back = read_model(Path("back.safetensors"))
    assert back.version.model.keys() == names
    original = read_model(Path(name))
    assert back.metadata == original.metadata
    assert {n: (a.shape, a.dtype) for n, a in back.version.model.items()} == {
        n: (a.shape, a.dtype) for n, a in original.version.model.items()
    }
    if options == ["--lossless"]:
        assert back.version == original.version


AGAIN = "get or make it again"
REFUSED = {
    "safetensors: bytes after the tensors": ("a.safetensors", raw_safetensors(ONE, bytes(9)), AGAIN),
    "safetensors: metadata with a number": (
        "a.safetensors",
        raw_safetensors({"__metadata__": {"epoch": 3}} | ONE),
        AGAIN,
    ),
    "safetensors: negative shape": ("a.safetensors", changed({"shape": [-1]}), AGAIN),
    "safetensors: inverted offsets": (
        "a.safetensors",
        changed({"data_offsets": [4, 0]}),
        AGAIN,
    ),
    "safetensors: dtype is a list": ("a.safetensors", changed({"dtype": ["F32"]}), AGAIN),
    "safetensors: a lone surrogate": (
        "a.safetensors",
        raw_safetensors({"\ud800": ONE["w"]}),
        AGAIN,
    ),
    "safetensors 601: InvalidHeader, a shape of 2**124": (
        "a.safetensors",
        changed({"shape": [2**62, 2**62]}),
        "allowed: at most 8589934592; split the model",
    ),
    "ComfyUI 3692: eight-bit floats": (
        "a.safetensors",
        changed({"dtype": "F8_E4M3"}),
        "tensor 'w' has dtype F8_E4M3; allowed: BF16, .*; convert it",
    ),
    "MFTCoder 20: HeaderTooLarge, a Git LFS pointer": (
        "a.safetensors",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 12\n",
        "is no model but a Git LFS pointer: the model itself was not fetched",
    ),
    "CogVideoXWrapper 239: HeaderTooSmall, an empty download": (
        "a.safetensors",
        b"",
        r"is empty \(0 bytes\); get or make it again",
    ),
    "NVFlare 3273: bfloat16 by numpy": ("a.npz", npz(w=np.ones(3, ml_dtypes.bfloat16)), "save the model as .safetensors"),
    "numpy: a mapping saved as an array": (
        "a.npz",
        npz(w=np.array({"a": 1})),
        "holds Python objects, .*; save numbers",
    ),
    "numpy: complex numbers": ("a.npz", npz(w=np.ones(3, complex)), "has dtype complex128; allowed: bool, .*; convert it"),
    "numpy: a header that ends within a bracket": (
        "a.npz",
        zipped(**{"w.npy": NPY.replace(b"(3,), }", b"(3, , {")}),
        "is damaged or no .npz",
    ),
    "a web page in place of the file": ("a.npz", b"<!DOCTYPE html><title>404</title>", "is no model but a web page"),
    "llama.cpp's file": ("model.gguf", b"GGUF\3\0\0\0", "is no model but a GGUF file"),
    "keras' file": ("model.keras", zipped(**{"config.json": "{}"}), "of an unknown kind; give a model as"),
}


@pytest.mark.parametrize("report", REFUSED)
def test_what_is_refused(report):
    name, data, reason = REFUSED[report]
    Path(name).write_bytes(data)
    code, said = dom("encode", name, "-o", "a.dom")
    assert code == 1
    assert re.search(f"{name}.*{reason}", said), said
    assert not Path("a.dom").exists()


def test_torchscript_is_told():
    with warnings.catch_warnings(action="ignore"):
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), "jit.pt")
    code, said = dom("convert", "jit.pt", "-o", "a.safetensors")
    assert (code, "is a TorchScript program; save model.state_dict() alone" in said) == (1, True)


def test_torchreids_suffix_is_converted():
    torch.save({"state_dict": {"w": torch.ones(3)}, "rank1": np.float64(0.9), "lr": np.ones(2)}, "model.pth.tar-50")
    command = shlex.split(dom("encode", "model.pth.tar-50", "-o", "a.dom")[1].splitlines()[1])
    assert dom(*command[2:])[0] == 0
    assert read_model(Path(command[-1])).version.model.keys() == {"w"}


OUTPUT = {"encode": ["-o", "a.dom"], "inspect": [], "decode": ["-o", "a.safetensors"]}


@pytest.mark.parametrize("command", OUTPUT)
def test_pipes_and_devices_do_not_wait_for_ever(command):
    os.mkfifo("pipe.safetensors")
    for path in ("pipe.safetensors", "/dev/zero"):
        code, said = dom(command, path, *OUTPUT[command])
        assert (code, f"{path} is a pipe or a device; give a regular file" in said) == (1, True)


def test_a_huge_payload_is_refused_by_its_size():
    with Path("huge.dom").open("wb") as file:
        file.truncate(2**36)
    code, said = dom("inspect", "huge.dom")
    assert (code, "holds 68719476736 bytes, no payload; allowed: at most 17179869184" in said) == (1, True)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_terminals_that_know_few_letters(encoding):
    write_model(Path("letters.safetensors"), {"Łódź.\u202e": np.ones(3, np.float32)})
    for arguments in (["encode", "letters.safetensors", "-o", "a.dom"], ["inspect", "a.dom"], ["chain", "."]):
        command = [sys.executable, "-c", "from fedretina.cli import app; app()", "dom", *arguments]
        environment = {**os.environ, "PYTHONIOENCODING": encoding}
        assert subprocess.run(command, capture_output=True, check=True, env=environment).stderr == b""


def test_names_of_files_that_are_no_text():
    os.link("good.safetensors", b"w\xff.safetensors")
    run = [sys.executable, "-c", "from fedretina.cli import app; app()", "dom"]
    subprocess.run([*run, "encode", b"w\xff.safetensors", "-o", b"a\xff.dom"], capture_output=True, check=True)
    subprocess.run([*run, "inspect", b"a\xff.dom"], capture_output=True, check=True)
    failed = subprocess.run([*run, "inspect", b"q\xff.dom"], capture_output=True, check=False)
    assert (failed.returncode, b"cannot be read: No such file" in failed.stderr) == (1, True)


def test_a_folder_as_a_mac_leaves_it():
    Path("updates").mkdir()
    dom("encode", "good.safetensors", "-o", "updates/key.dom")
    Path("updates/._key.dom").write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X        ")
    Path("updates/key (1).dom").write_bytes(Path("updates/key.dom").read_bytes())
    code, said = dom("decode", "updates", "-o", "back.safetensors")
    assert (code, "passed over" in said) == (0, False)
    Path("updates/broken.dom").symlink_to("nowhere")
    code, said = dom("decode", "updates", "-o", "back.safetensors")
    assert (code, "broken.dom cannot be read" in said) == (1, True)


def test_versions_by_the_numbers_that_are_shown():
    Path("updates").mkdir()
    dom("encode", "good.safetensors", "-o", "updates/key.dom")
    assert "V0" in dom("chain", "updates")[1]
    assert dom("decode", "updates", "--to", "v0", "-o", "back.safetensors")[0] == 0
    code, said = dom("decode", "updates", "--to", "V1", "-o", "back.safetensors")
    assert (code, "0 versions begin with 'V1'; choose among" in said) == (1, True)


@pytest.mark.parametrize("budget", ["9" * 400 + "GB", "1e6", "1,5MB", "inf", "nan", "1.MB", "\u0661MB", "99999999999GB"])
def test_budgets_that_are_none(budget):
    code, said = dom("encode", "good.safetensors", "--budget", budget, "-o", "a.dom")
    assert (code, "give bytes as in 200kB, 1.5MB, 300KiB or 204800" in said) == (1, True)


def test_a_model_of_more_tensors_than_allowed():
    header = {f"t{n}": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]} for n in range(2**16 + 1)}
    Path("many.safetensors").write_bytes(raw_safetensors(header, b""))
    code, said = dom("encode", "many.safetensors", "-o", "a.dom")
    assert (code, "many.safetensors: the model has 65537 tensors; allowed: at most 65536" in said) == (1, True)


def test_files_beside_an_index_are_left_alone():
    """mlx-vlm 1464: a stray model beside the shards. CoSER 3, sglang 32279: an index that names files that are not there."""
    index = {"metadata": {"total_size": 12}, "weight_map": {"w": "model-1.safetensors"}}
    Path("model").mkdir()
    write_model(Path("model/model-1.safetensors"), {"w": np.ones(3, np.float32)})
    write_model(Path("model/model.safetensors"), {"w": np.zeros(3, np.float32)})
    Path("model/model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8-sig")
    assert read_model(Path("model")).version.model["w"].tolist() == [1, 1, 1]
    index["weight_map"]["v"] = "model-2.safetensors"
    Path("model/model.safetensors.index.json").write_text(json.dumps(index))
    code, said = dom("encode", "model", "-o", "a.dom")
    assert (code, "model-2.safetensors cannot be read: No such file" in said) == (1, True)
