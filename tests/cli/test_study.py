import shutil
from dataclasses import replace
from importlib import import_module

import pytest
import torch
from safetensors.torch import save_file
from typer.testing import CliRunner

from fedretina.cli import app
from fedretina.cli import study as command
from fedretina.cli.options import parse_seeds
from fedretina.reid.models import build
from fedretina.reid.published import Counts
from fedretina.reid.rendering.domains import Population, render_domain
from fedretina.study import Setting

runner = CliRunner()
FEW = Population(train=6, test=5, cameras=(2, 3), images=(2, 3), gallery=(1, 2), distractors=1, junk=1)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    for name in ("duke", "hall", "shop"):
        render_domain(folder / name, name, population=FEW)
    return folder


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("FEDRETINA_HOME", str(tmp_path / "home"))


def study(root, out, *more):
    arguments = ["study", "fig5", "--quick", "--epochs", "1", "--data-root", str(root), "--sources", "hall,shop"]
    return runner.invoke(app, [*arguments, "--out", str(out), "--device", "cpu", *more])


def test_it_writes_what_it_prints(root, tmp_path):
    result = study(root, tmp_path / "out")
    assert result.exit_code == 0, result.output
    page = tmp_path / "out" / "fig5.md"
    assert page.read_text() in result.stdout
    assert result.stdout.splitlines()[-1] == str(page)
    assert (tmp_path / "out" / "fig5.png").exists()


def test_an_interruption_says_how_to_go_on(root, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("fedretina.study.run", interrupted)
    result = study(root, tmp_path / "out")
    assert result.exit_code == 130
    assert "run the same command again to go on" in result.stderr


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (["--seeds", "one"], "--seeds 'one'"),
        (["--seeds", "1,1"], "--seeds '1,1'"),
        (["--size", "64"], "--size '64'"),
        (["--model", "huge"], "--model 'huge'"),
        (["--labelled", "0"], "--labelled 0"),
        (["--target", "nowhere"], "nowhere"),
        (["--sources", "duke"], "all different"),
    ],
)
def test_wrong_words_are_named(root, tmp_path, more, reason):
    result = study(root, tmp_path / "out", *more)
    assert result.exit_code == 1
    assert reason in result.stderr
    assert "Traceback" not in result.output


def test_seeds_by_default():
    assert parse_seeds("", [0, 1, 2]) == [0, 1, 2]
    assert parse_seeds("", [0]) == [0]
    assert parse_seeds("3, 5", [0]) == [3, 5]


def test_only_the_papers_own_data_are_published(root, tmp_path, monkeypatch):
    base = Setting(method="alone", target="duke", sources=("hall",), data=str(root))
    assert not command._is_published_data(base)
    shutil.copytree(root / "hall", tmp_path / "market1501")
    shutil.copytree(root / "duke", tmp_path / "duke")
    real = Setting(method="alone", target="duke", sources=("market1501",), data=str(tmp_path))
    assert not command._is_published_data(real)
    module = import_module("fedretina.reid.counting")
    found = {name: command._counts(module.census(tmp_path / name)) for name in ("duke", "market1501")}
    monkeypatch.setattr(module, "published_counts", lambda name: Counts(name, (found[name],)))
    assert command._is_published_data(real)
    assert not command._is_published_data(replace(real, labelled=0.1))


WRONG = [
    (["--labelled", "2"], "--labelled 2.0: a number above 0, at most 1, is allowed"),
    (["--model", "vgg"], "--model 'vgg': allowed are small, resnet18, resnet50"),
    (["--size", "8x8"], "--size 8: an integer of 16 or more is allowed"),
    (["--device", "tpu"], "--device 'tpu': allowed are 'auto', 'cpu', 'cuda'"),
    (["--sources", "duke"], "--target 'duke', --sources 'duke': give one target and at least one source"),
    (["--target", "own"], "--target 'own': the committee calls the target so; rename the folder of that domain"),
]


@pytest.mark.parametrize(("typed", "said"), WRONG)
def test_a_wrong_value_is_told_by_its_option_before_anything_trains(root, tmp_path, typed, said):
    result = study(root, tmp_path / "out", *typed)
    assert result.exit_code == 1
    assert said in result.output
    assert not list((tmp_path / "out").rglob("*.npz"))


def test_weights_with_nan_end_a_study_before_anything_trains(root, tmp_path):
    state = build("small", 3, height=64, width=32).state_dict()
    state["reduce.weight"][0] = torch.nan
    save_file(state, tmp_path / "w.safetensors")
    result = study(root, tmp_path / "out", "--weights", str(tmp_path / "w.safetensors"))
    assert result.exit_code == 1
    assert "has NaN or infinite values in reduce.weight" in result.output
    assert not list((tmp_path / "out").rglob("*.npz"))
