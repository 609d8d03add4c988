"""A model in several files is read as one; what does not fit is named."""

import json
import re

import numpy as np
import pytest
import safetensors.numpy

from fedretina.dom import digest, read_model, write_model
from fedretina.errors import BadArgument

MODEL = {"a.w": np.ones((2, 3), np.float32), "b.w": np.zeros(4, np.float32), "b.n": np.array(7)}
FILES = {"a.w": "model-00001-of-00002.safetensors", "b.w": "model-00002-of-00002.safetensors"}
FILES["b.n"] = FILES["b.w"]


def write_shards(folder, model=MODEL, files=FILES, name="model", metadata=None):
    """Write a model as transformers does."""
    folder.mkdir(exist_ok=True)
    for file in set(files.values()):
        arrays = {tensor: model[tensor] for tensor in files if files[tensor] == file and tensor in model}
        safetensors.numpy.save_file(arrays, folder / file, metadata=(metadata or {}).get(file, {"format": "pt"}))
    index = folder / f"{name}.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 123}, "weight_map": files}))
    return index


def test_an_index_and_its_folder_are_one_model(tmp_path):
    index = write_shards(tmp_path / "model")
    (index.parent / "config.json").write_text("{}")
    for path in (index, index.parent):
        file = read_model(path)
        assert file.version.digest == digest(MODEL)
        assert list(file.version.model) == sorted(MODEL)
        assert file.metadata == {"format": "pt"}
        assert file.path == path


def test_progress_adds_up_to_the_tensors(tmp_path):
    steps = []
    read_model(write_shards(tmp_path), advance=steps.append)
    assert sum(steps) == sum(array.nbytes for array in MODEL.values())


def test_metadata_that_differs_is_told(tmp_path, caplog):
    first, second = sorted(set(FILES.values()))
    index = write_shards(tmp_path, metadata={first: {"format": "pt", "part": "1"}, second: {"format": "pt", "part": "2"}})
    assert read_model(index).metadata == {"format": "pt", "part": "1"}
    assert f"{second}: metadata 'part' differs" in caplog.text


def test_a_model_over_the_limit_is_refused_by_its_headers(tmp_path, monkeypatch):
    monkeypatch.setattr("fedretina.dom.files.safetensors_file.MAX_RAW_BYTES", 40)
    monkeypatch.setattr("fedretina.dom.files.shards.read_tensors", lambda *_: pytest.fail("the tensors were read"))
    with pytest.raises(BadArgument, match="holds 48 bytes of tensors; allowed: at most 40; split the model"):
        read_model(write_shards(tmp_path))


def test_one_file_over_the_limit_is_refused_by_its_header(tmp_path, monkeypatch):
    monkeypatch.setattr("fedretina.dom.files.safetensors_file.MAX_RAW_BYTES", 40)
    monkeypatch.setattr("fedretina.dom.files.models.read_tensors", lambda *_: pytest.fail("the tensors were read"))
    write_model(tmp_path / "model.safetensors", MODEL)
    with pytest.raises(BadArgument, match="holds 48 bytes of tensors; allowed: at most 40; split the model"):
        read_model(tmp_path / "model.safetensors")


def test_shards_that_do_not_fit(tmp_path):
    index = write_shards(tmp_path)
    first = tmp_path / FILES["a.w"]
    second = tmp_path / FILES["b.w"]
    whole = second.read_bytes()
    second.write_bytes(whole[:-1])
    with pytest.raises(BadArgument, match=f"{second.name} is incomplete"):
        read_model(index)
    second.unlink()
    with pytest.raises(BadArgument, match=f"{second.name} cannot be read: No such file"):
        read_model(index)
    second.write_bytes(first.read_bytes())
    with pytest.raises(BadArgument, match=r"do not fit: only the file has 'a\.w' \(3 such tensors\); get both"):
        read_model(index)
    second.write_bytes(whole)
    safetensors.numpy.save_file({"other": np.ones(2)}, first)
    with pytest.raises(BadArgument, match=r"only the index has 'a\.w' \(2 such tensors\)"):
        read_model(index)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b"null",
        b'{"weight_map": 3}',
        b'{"weight_map": ["a"]}',
        b"\xff\xfe",
        b"[" * 10**5,
        b'{"weight_map": {"a"',
    ],
)
def test_indexes_that_are_none(tmp_path, content):
    index = tmp_path / "model.safetensors.index.json"
    index.write_bytes(content)
    for path in (index, tmp_path):
        with pytest.raises(BadArgument, match="is no index of shards: it has no 'weight_map'"):
            read_model(path)


@pytest.mark.parametrize(
    "file", ["../up.safetensors", "/etc/a.safetensors", "a/b.safetensors", "a.bin", 7, None, "\0.safetensors"]
)
def test_an_index_does_not_lead_out_of_its_folder(tmp_path, file):
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"w": file}}))
    with pytest.raises(BadArgument, match=r"puts 'w' into .*; allowed: a \.safetensors file of its own folder"):
        read_model(index)


def test_folders_without_one_index(tmp_path):
    with pytest.raises(BadArgument, match=r"Is a directory with 0 indexes .*; give one file of it \(none\)"):
        read_model(tmp_path)
    write_model(tmp_path / "model.safetensors", MODEL)
    with pytest.raises(BadArgument, match=r"give one file of it \((.*)\)") as caught:
        read_model(tmp_path)
    advised = re.search(r"\(([^()*]+)\)$", str(caught.value))[1]
    assert read_model(tmp_path / advised).version.digest == digest(MODEL)
    write_shards(tmp_path, name="one")
    index = write_shards(tmp_path, name="two")
    with pytest.raises(BadArgument, match=r"with 2 indexes .*\(one.safetensors.index.json, two.safetensors.index.json\)"):
        read_model(tmp_path)
    assert read_model(index).version.digest == digest(MODEL)
    with pytest.raises(BadArgument, match=r"is an index of pickles, .*; convert each of its files \(\*\.bin\)"):
        read_model(tmp_path / "pytorch_model.bin.index.json")


def test_an_empty_index_is_an_empty_model(tmp_path):
    assert read_model(write_shards(tmp_path, model={}, files={})).version.model == {}
