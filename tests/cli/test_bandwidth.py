"""`fedretina study bandwidth`."""

import json
import sys

import pytest
from typer.testing import CliRunner

from fedretina.cli import app
from fedretina.cli.bandwidth import _command

runner = CliRunner()
pytestmark = pytest.mark.usefixtures("own_home")
TASK = """
from dataclasses import dataclass

import numpy as np

from fedretina.study.tasks import FederatedTask


@dataclass(frozen=True)
class Mean(FederatedTask):
    clients: int = 2
    metric = "distance"
    lower_is_better = True

    def first_model(self, seed):
        return {"w": np.full(64, 1 + seed, np.float32)}

    def train(self, model, client, *, steps, seed):
        return {"w": model["w"] * np.float32(0.5)}

    def measure(self, model):
        return float(np.abs(model["w"]).mean())
"""
DOMAINS = """
import torch
from torch import nn

from fedretina.task import Splits, Task


class Signs(Task):
    metric, layers = "accuracy", ("0",)

    def splits(self, domain):
        inputs = torch.randn(40, 4, generator=torch.Generator().manual_seed(len(domain)))
        return Splits(inputs, (inputs[:, 0] > 0).long())

    def model(self, domain, classes):
        return nn.Sequential(nn.Linear(4, classes))

    def loss(self, output, labels):
        return nn.functional.cross_entropy(output, labels)

    def evaluate(self, model, domain, *, split="test"):
        data = self.splits(domain)
        return {"accuracy": 100 * float((model(data.inputs).argmax(1) == data.labels).float().mean())}
"""
CODEC = '''
from dataclasses import dataclass

import numpy as np

from fedretina.study.codecs import Codec, Reader, flatten, split


@dataclass(frozen=True, kw_only=True)
class Halves(Codec):
    """float16."""

    name = "halves"

    def pack(self, update, state):
        return flatten(update).astype("<f2").tobytes()

    def unpack(self, data, state):
        reader = Reader(data)
        return split(reader.take("<f2", state.size).astype(np.float32), state)
'''


def bandwidth(*more):
    return runner.invoke(app, ["study", "bandwidth", "--jobs", "1", "--seeds", "0", "--choose-on", "none", *map(str, more)])


@pytest.fixture
def mean(tmp_path):
    file = tmp_path / "mean_task.py"
    file.write_text(TASK)
    return f"{file}:Mean"


def test_a_users_own_task(mean, tmp_path):
    out = tmp_path / "out"
    typed = ("--task", mean, "--clients", 2, "--rounds", 3, "--codecs", "none,topk", "--settings", "share=.25", "--out", out)
    result = bandwidth(*typed)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == str(out / "bandwidth.md")
    assert "1/2  Mean, seed 0: none: distance 0.125, 3.07 kB" in result.stderr
    rows = [json.loads(line) for line in (out / "rows.jsonl").read_text().splitlines()]
    assert [row["score"] for row in rows if row["codec"] == "none"] == [1, 0.5, 0.25, 0.125]
    assert bandwidth(*typed).stderr.count("(stored)") == 2


def test_settings_are_chosen_on_other_seeds_and_only_those_are_reported(mean, tmp_path):
    typed = ("--task", mean, "--clients", 2, "--rounds", 3, "--codecs", "none,topk", "--settings", "share=.25,.5")
    result = bandwidth(*typed, "--choose-on", "7,8", "--out", tmp_path)
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert {(row["codec"], row["setting"], row["seed"]) for row in rows if row["codec"] == "topk"} == {
        *(("topk", f"share={share}", seed) for share in (0.25, 0.5) for seed in (7, 8)),
        ("topk", "share=0.5", 0),
    }
    assert "was chosen on seed 7, 8, which is not reported" in (tmp_path / "bandwidth.md").read_text()
    refused = bandwidth(*typed, "--choose-on", "0", "--out", tmp_path)
    assert "--choose-on 0: also in --seeds" in refused.stderr


def test_a_page_of_finished_cells(mean, tmp_path):
    typed = ("--task", mean, "--clients", 2, "--rounds", 2, "--out", tmp_path)
    assert "no finished cell" in bandwidth(*typed, "--codecs", "none", "--stored").stderr
    assert bandwidth(*typed, "--codecs", "none").exit_code == 0
    result = bandwidth(*typed, "--codecs", "none,dom", "--settings", "rms_step=3", "--stored")
    assert result.exit_code == 0, result.output
    assert "not run, by task: Mean 1." in (tmp_path / "bandwidth.md").read_text()
    assert bandwidth(*typed, "--codecs", "none,dom", "--settings", "rms_step=3").exit_code == 0
    assert "What limits ours" in (tmp_path / "bandwidth.md").read_text()


def test_a_task_of_domains(tmp_path):
    file = tmp_path / "signs.py"
    file.write_text(DOMAINS)
    typed = ("--task", f"{file}:Signs", "--clients", 2, "--rounds", 2, "--codecs", "none", "--out", tmp_path / "out")
    result = bandwidth(*typed, "--domains", "here,there")
    assert result.exit_code == 0, result.output
    assert "name them with --domains" in bandwidth(*typed).stderr


def test_a_users_own_codec_by_an_entry_point(mean, tmp_path, monkeypatch):
    from fedretina.study.codecs import codecs  # noqa: PLC0415

    (tmp_path / "halves_codec.py").write_text(CODEC)
    info = tmp_path / "halves_codec-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: halves-codec\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[fedretina.codecs]\nhalves = halves_codec:Halves\n")
    monkeypatch.syspath_prepend(tmp_path)
    codecs.cache_clear()
    assert len(CODEC.strip().splitlines()) <= 30
    result = bandwidth("--task", mean, "--clients", 2, "--rounds", 2, "--codecs", "halves,none", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "halves: distance 0.250, 1.02 kB" in result.stderr
    codecs.cache_clear()
    sys.modules.pop("halves_codec", None)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["--task", "chess"], "--task 'chess': allowed are digits,reid,text,lora"),
        (["--task", "no/file.py:Task"], "check the path"),
        (["--task", "digits", "--rounds", "0"], "--rounds 0: an integer of 1 or more"),
        (["--task", "digits", "--local-steps", "0"], "--local-steps 0"),
        (["--task", "digits", "--codecs", "gzip"], "--codecs 'gzip'"),
        (["--task", "digits", "--settings", "colour=1"], "no codec of this sweep has it"),
        (["--task", "reid", "--clients", "9"], "at most that many"),
    ],
)
def test_wrong_words_are_named_before_anything_trains(typed, said, tmp_path):
    result = bandwidth(*typed, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert said in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_wrong_number_of_clients_is_named(mean, tmp_path):
    (tmp_path / "two.py").write_text("from mean_task import Mean\ntwo = Mean()\n")
    sys.path.insert(0, str(tmp_path))
    result = bandwidth("--task", f"{tmp_path / 'two.py'}:two", "--clients", 3)
    sys.path.remove(str(tmp_path))
    assert "--clients 3: the task two has 2 clients; give --clients 2" in result.stderr


def test_no_task_is_named(tmp_path):
    (tmp_path / "empty.py").write_text("nothing = 3\n")
    assert "is no FederatedTask" in bandwidth("--task", f"{tmp_path / 'empty.py'}:nothing").stderr


def test_an_interruption_says_how_to_go_on(mean, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("fedretina.study.bandwidth.measure", interrupted)
    result = bandwidth("--task", mean, "--clients", 2, "--out", tmp_path)
    assert result.exit_code == 130
    assert "run the same command again to go on" in result.stderr


def test_the_pages_command_has_no_folder(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["x", "study", "bandwidth", "--out", "/a", "--stored", "--jobs=2", "--task", "a b"])
    assert _command() == "fedretina study bandwidth --task 'a b'"
