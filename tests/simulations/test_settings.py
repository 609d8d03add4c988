"""Every knob of the app is checked, and each has a comment."""

import tomllib
from pathlib import Path

import pytest

from fedretina.errors import BadArgument
from settings import check, codec_of, plan_of, task_of

APP = Path(__file__).parent.parent.parent / "simulations" / "duke_target" / "pyproject.toml"
DEFAULTS = tomllib.loads(APP.read_text(encoding="utf-8"))["tool"]["flwr"]["app"]["config"]


def test_the_defaults_are_allowed():
    check(DEFAULTS)
    assert plan_of(DEFAULTS).domains == ("duke", "msmt17", "cuhk03", "market1501")
    assert codec_of(DEFAULTS).relative_error == DEFAULTS["relative-error"]
    assert codec_of(DEFAULTS | {"codec": "none"}) is None
    assert codec_of(DEFAULTS | {"bits": 4}).bits == 4


def test_every_knob_has_a_comment():
    text = APP.read_text(encoding="utf-8").split("[tool.flwr.app.config]")[1]
    lines = [line for line in text.splitlines() if "=" in line.split("#")[0]]
    assert len(lines) == len(DEFAULTS)
    assert not [line for line in lines if "#" not in line and not line.startswith("image-width")]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("target", ""),
        ("sources", ""),
        ("sources", "duke"),
        ("data-root", "relative/folder"),
        ("labelled", 0.0),
        ("labelled", 1.5),
        ("rounds", 0),
        ("rounds", "many"),
        ("local-epochs", 0),
        ("home-epochs", -1),
        ("model", "vgg"),
        ("model", "small,nowhere=small"),
        ("image-height", 3),
        ("batch-size", 1),
        ("lr", 0.0),
        ("loss", "hinge"),
        ("gamma", -1.0),
        ("alpha", "x"),
        ("init", "x"),
        ("codec", "zip"),
        ("relative-error", 0.0),
        ("keyframe-error", -1.0),
        ("bits", -3),
        ("device", "x"),
        ("seed", -1),
        ("baselines", "yes"),
    ],
)
def test_a_wrong_value_names_the_key(key, value, tmp_path):
    config = DEFAULTS | {"data-root": str(tmp_path), key: value}
    with pytest.raises(BadArgument, match=key.replace("-", "[-_]")):
        check(config), task_of(config)


def test_models_by_domain(tmp_path):
    task = task_of(DEFAULTS | {"data-root": str(tmp_path), "model": "small, duke=resnet18"})
    assert type(task.model("duke", 5)) is not type(task.model("msmt17", 5))
