"""One factory makes the task of apps, commands and studies."""

import pytest

from fedretina.errors import BadArgument
from fedretina.reid import factory
from fedretina.study import Setting


def test_a_folder_of_ones_own_is_not_rendered(tmp_path, monkeypatch):
    monkeypatch.setattr(factory, "render", None)
    task = factory.make_task(["duke"], ["hall"], data_root=tmp_path, models={"": "small"})
    assert (task.root, task.embedded) == (tmp_path, False)


def test_options_are_checked_before_anything_is_rendered(tmp_path, monkeypatch):
    monkeypatch.setenv("FEDRETINA_HOME", str(tmp_path))
    monkeypatch.setattr(factory, "render", None)
    with pytest.raises(BadArgument, match="labelled"):
        factory.make_task(["duke"], ["hall"], models={"": "small"}, labelled=2)


def test_without_a_folder_the_domains_are_rendered(tmp_path, monkeypatch):
    monkeypatch.setenv("FEDRETINA_HOME", str(tmp_path))
    rendered = []
    monkeypatch.setattr(factory, "render", lambda root, domains: rendered.append(domains) or tmp_path / "rendered")
    said = []
    task = factory.make_task(["duke"], ["hall"], models={"": "small"}, before_rendering=lambda: said.append(len(rendered)))
    assert (task.root, task.embedded) == (tmp_path / "rendered", True)
    assert (rendered, said) == ([("duke", "hall")], [0])


def test_a_setting_of_a_study_says_all_of_its_task(tmp_path):
    setting = Setting(
        method="alone", target="duke", sources=("hall",), data=str(tmp_path), labelled=0.5, loss="triplet", head="plain",
        model="resnet18", weights="w.pth", height=32, width=16, seed=3,
    )  # fmt: skip
    task = factory.task_of(setting)
    assert (task.root, task.targets, task.labelled, task.seed) == (tmp_path, ("duke",), 0.5, 3)
    assert (task.loss_name, task.head_name, task.height, task.width) == ("triplet", "plain", 32, 16)
    assert (task.models, task.weights) == ({"": "resnet18"}, {"": "w.pth"})
    assert not factory.task_of(Setting(method="alone", target="duke", sources=(), data=str(tmp_path))).weights
