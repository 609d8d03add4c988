"""The advice on pickles, as it is printed, on the checkpoints that people have; and what it refuses."""

import argparse
import collections
import os
import pickle
import re
import shlex
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import safetensors.torch
import torch
from typer.testing import CliRunner

from fedretina.cli import app
from fedretina.dom import read_model
from fedretina.errors import BadArgument

runner = CliRunner()
STATE = {
    "conv.weight": torch.arange(24.0).reshape(2, 3, 2, 2),
    "norm.count": torch.tensor(7),
    "head.weight": torch.ones(2, 3, dtype=torch.bfloat16),
    "flag": torch.tensor([True, False]),
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def tied():
    """What a language model saves: the embedding twice, as one."""
    weight = torch.nn.Parameter(torch.arange(6.0).reshape(2, 3))
    return {"embed.weight": weight, "head.weight": weight, "row": weight[1]}


class Settings(dict):
    """A class of the user's own."""


USUAL = {
    "a state dictionary": (STATE, set(STATE)),
    "an ordered one": (collections.OrderedDict(STATE), set(STATE)),
    "of a module": (torch.nn.BatchNorm2d(3).state_dict(), set(torch.nn.BatchNorm2d(3).state_dict())),
    "trainable": ({"w": torch.nn.Parameter(torch.ones(3)), "b": torch.ones(3, requires_grad=True)}, {"w", "b"}),
    "tied": (tied(), {"embed.weight", "head.weight", "row"}),
    "channels_last": ({"w": torch.arange(24.0).reshape(1, 4, 2, 3).to(memory_format=torch.channels_last)}, {"w"}),
    "transposed": ({"w": torch.arange(6.0).reshape(2, 3).T, "every second": torch.arange(6.0)[::2]}, {"w", "every second"}),
    "state_dict inside": (
        {"state_dict": STATE, "epoch": 3, "optimizer": {"state": {0: {"m": torch.ones(3)}}}},
        set(STATE),
    ),
    "of detr": ({"model": STATE, "args": argparse.Namespace(lr=0.1), "epoch": 3}, set(STATE)),
    "of mmengine": ({"meta": {"epoch": 12, "CLASSES": ("a", "b")}, "state_dict": STATE, "message_hub": {}}, set(STATE)),
    "twice inside": ({"model": {"state_dict": STATE, "epoch": 3}}, set(STATE)),
    "best accuracy of numpy": ({"state_dict": STATE, "best": np.float64(0.7), "rank": np.int64(3)}, set(STATE)),
    "beside other entries": (STATE | {"epoch": 3, "name": "resnet", "history": [1, 2]}, set(STATE)),
}


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("name", ["it's a model.ckpt", "-o.pt", "misnamed.safetensors", "a.v1.pth", "pytorch_model.bin"])
@pytest.mark.parametrize("kind", USUAL)
def test_the_advice_works_on_usual_checkpoints(kind, name, legacy):
    content, names = USUAL[kind]
    torch.save(content, name, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(BadArgument, match="is a pickle") as caught:
        read_model(Path(name))
    command = shlex.split(str(caught.value).splitlines()[1].strip())
    assert command[0] == "fedretina"
    before = Path(name).read_bytes()
    result = runner.invoke(app, command[1:])
    assert (result.exit_code, Path(name).read_bytes()) == (0, before), result.output
    made = read_model(Path(command[-1]))
    assert made.version.model.keys() == names
    assert made.metadata == {"format": "pt"}
    state = content.get("state_dict") or content.get("model", content)
    state = state.get("state_dict", state)
    for tensor, value in safetensors.torch.load_file(command[-1]).items():
        assert torch.equal(value, state[tensor].detach())
        assert value.dtype == state[tensor].dtype
    assert made.version.model.get("head.weight", np.ones(1)).dtype in (ml_dtypes.bfloat16, np.float32, np.float64)


def test_what_is_left_out_is_named():
    torch.save(STATE | {"epoch": 3, "\x1b[2J": "x"}, "model.pt")
    result = runner.invoke(app, ["dom", "convert", "model.pt", "-o", "model.npz"])
    assert "bfloat16, which .npz cannot hold; write .safetensors" in result.stderr
    result = runner.invoke(app, ["dom", "convert", "model.pt", "-o", "model.safetensors"])
    assert "left out, since the model has no place for them: \\x1b[2J, epoch" in result.stderr
    assert result.stdout.startswith("model.safetensors: 4 tensors, ")
    torch.save({"state_dict": STATE | {"note": ""}, "epoch": 3, "optimizer": {}}, "model.pt")
    for key in ([], ["--key", "state_dict"]):
        result = runner.invoke(app, ["dom", "convert", "model.pt", "-o", "model.safetensors", *key])
        assert "left out, since the model has no place for them: epoch, note, optimizer" in result.stderr


def test_an_unusual_entry_is_named_with_an_option():
    torch.save({"teacher": {"backbone": STATE}, "epoch": 3}, "model.pt")
    result = runner.invoke(app, ["dom", "convert", "model.pt", "-o", "model.safetensors"])
    assert result.exit_code == 1
    assert "holds no tensors but teacher, epoch; name the entry that holds them with --key" in result.stderr
    result = runner.invoke(app, ["dom", "convert", "model.pt", "--key", "student", "-o", "model.safetensors"])
    assert "has no entry 'student' but teacher, epoch; give another --key" in result.stderr
    result = runner.invoke(app, ["dom", "convert", "model.pt", "--key", "teacher.backbone", "-o", "model.safetensors"])
    assert result.exit_code == 0
    assert read_model(Path("model.safetensors")).version.model.keys() == STATE.keys()


class Bomb:
    def __reduce__(self):
        return (os.mkdir, ("ran",))


REFUSED = {
    "code": (pickle.dumps({"w": Bomb()}), "damaged"),
    "text": (b"no pickle", "damaged or was not saved by torch|or is damaged"),
    "empty": (b"", "damaged"),
    "cut": (None, "damaged"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_converted_is_told_in_our_words(kind):
    data, reason = REFUSED[kind]
    torch.save(STATE, "model.pt")
    Path("model.pt").write_bytes(Path("model.pt").read_bytes()[:-99] if data is None else data)
    result = runner.invoke(app, ["dom", "convert", "model.pt", "-o", "model.safetensors"])
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert re.search(reason, result.stderr)
    assert "weights_only" not in result.stderr
    assert not Path("ran").exists()
    assert not Path("model.safetensors").exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (torch.nn.Linear(2, 2), "holds objects of torch.nn.modules.linear.Linear; allowed: tensors, numbers and text"),
        ({"w": torch.ones(2), "settings": Settings()}, "holds objects of .*Settings; allowed"),
        ({"w": torch.ones(2), "run": Bomb()}, "holds objects of posix.mkdir; allowed"),
        ([torch.ones(2)], "holds a list; allowed: names with tensors"),
        (torch.ones(2), "holds a Tensor; allowed: names with tensors"),
        ({"w": torch.ones(2, dtype=torch.complex64)}, "tensor 'w' is torch.complex64, .*; allowed: dense real numbers"),
        ({"w": torch.eye(2).to_sparse()}, "tensor 'w' is torch.float32, torch.sparse_coo"),
        ({"w": torch.ones(2, dtype=torch.float8_e4m3fn)}, "tensor 'w' is torch.float8_e4m3fn, which no payload takes"),
    ],
)
def test_what_no_payload_takes_is_named(content, reason):
    torch.save(content, "model.pt")
    result = runner.invoke(app, ["dom", "convert", "model.pt", "-o", "model.safetensors"])
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert re.search(reason, result.stderr), result.stderr
    assert "weights_only" not in result.stderr
    assert not Path("ran").exists()
