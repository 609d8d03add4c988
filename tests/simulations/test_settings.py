"""Every setting of the app is checked, and each has a comment."""

import re
import tomllib
from pathlib import Path

import pytest

from fedretina.errors import BadArgument
from fedretina.settings import codec
from settings import check, check_seal, task_of, topology_of

APP = Path(__file__).parent.parent.parent / "simulations" / "duke_target" / "pyproject.toml"
DEFAULTS = tomllib.loads(APP.read_text(encoding="utf-8"))["tool"]["flwr"]["app"]["config"]

JOINT_OFF = {"body-rounds": 0, "co-training": "off"}


def test_the_defaults_are_allowed():
    check(DEFAULTS)
    assert topology_of(DEFAULTS).domains == ("duke", "msmt17", "cuhk03", "market1501")
    assert codec(DEFAULTS).relative_error == DEFAULTS["relative-error"]


def test_every_setting_has_a_comment():
    text = APP.read_text(encoding="utf-8").split("[tool.flwr.app.config]")[1]
    lines = [line for line in text.splitlines() if "=" in line.split("#")[0]]
    assert len(lines) == len(DEFAULTS)
    assert not [line for line in lines if "#" not in line and not line.startswith("image-width")]


WRONG = [
    ("targets", "", "one target"),
    ("targets", "../duke", "a folder's name"),
    ("targets", "duke,duke", "all different"),
    ("sources", "", "at least one source"),
    ("sources", "duke", "another domain"),
    ("sources", "msmt17,msmt17", "all different"),
    ("sources", ["msmt17"], "a text in quotes"),
    ("data-root", "relative/folder", "an absolute path"),
    ("data-root", "/no/such/folder", "no such folder"),
    ("labelled", 0.0, "above 0, at most 1"),
    ("labelled", 1.5, "above 0, at most 1"),
    ("labelled", float("nan"), "above 0, at most 1"),
    ("labelled", "some", "a number"),
    ("rerank", "yes", "true or false"),
    ("image-height", 3, "16 or more"),
    ("image-width", 8, "16 or more"),
    ("image-width", 32.5, "an integer"),
    ("rounds", 0, "1 or more"),
    ("threads", -1, "0 (torch's choice, at most 2 for the small network)"),
    ("rounds", "many", "an integer"),
    ("rounds", True, "an integer"),
    ("local-epochs", 0, "1 or more"),
    ("home-epochs", -1, "0 or more"),
    ("epoch-images", -1, "0 or more"),
    ("batch-size", 1, "2 or more"),
    ("lr", 0.0, "a positive number"),
    ("lr", float("inf"), "a positive number"),
    ("loss", "hinge", "softmax, softmax+triplet"),
    ("loss", "aligned", "it needs head"),
    ("head", "x", "global, plain, parts"),
    ("model", "vgg", "small, resnet18, resnet50"),
    ("model", "", "small, resnet18, resnet50"),
    ("model", "small,duke=vgg", "small, resnet18, resnet50"),
    ("model", "small,nowhere=small", "duke, msmt17, cuhk03, market1501"),
    ("model", "small,resnet18", "one is allowed"),
    ("weights", "resnet18.pth", "an absolute path"),
    ("weights", "/no/such/resnet18.pth", "a .safetensors, .pth or .pt file"),
    ("weights", "nowhere=/w/resnet18.pth", "duke, msmt17, cuhk03, market1501"),
    ("gamma", -1.0, "0 or more"),
    ("alpha", "x", "'learned', 'bound', 'uniform'"),
    ("init", "x", "'best-peer', 'average', 'given', 'scratch'"),
    ("committee", "yes", "true or false"),
    ("new-classes-below", 1.5, "from 0 to 1"),
    ("layers", 3, "a text in quotes"),
    ("body-rounds", -1, "0 or more"),
    ("co-training", "x", "'off', 'one', 'turns', 'all'"),
    ("average-every", 0, "1 or more"),
    ("share-target", 0.0, "above 0, at most 1"),
    ("alone-last", -1, "0 or more"),
    ("turns-by", "x", "'size', 'risk', 'equal'"),
    ("risk-limit", 0.5, "0, or a number of 1 or more"),
    ("risk-limit", float("nan"), "0, or a number of 1 or more"),
    ("share", "yes", "true or false"),
    ("joint-preset", "rough", "'', 'coarse', 'balanced', 'fine'"),
    ("baselines", "yes", "true or false"),
    ("seal", "yes", "true or false"),
    ("codec", "zip", "'dom', 'none'"),
    ("relative-error", 0.0, "from 0.000001 to 0.999"),
    ("relative-error", "small", "a number"),
    ("keyframe-error", -1.0, "from 0.000001 to 0.999"),
    ("bits", -3, "0 (off) or an integer from 1 to 15"),
    ("bits", 2.5, "an integer"),
    ("device", "x", "'auto', 'cpu', 'cuda'"),
    ("last-stride", 3, "1 or 2"),
    ("progress", "all", "'epoch', 'round'"),
    ("logger", 3, "a text in quotes"),
    ("precision", "fp8", "'auto', 'float32', 'bfloat16'"),
    ("seed", -1, "0 or more"),
]


@pytest.mark.parametrize(("key", "value", "allowed"), WRONG)
def test_an_error_names_key_value_and_what_is_allowed(key, value, allowed, tmp_path):
    config = DEFAULTS | {"data-root": str(tmp_path), key: value}
    shown = repr(value) if isinstance(value, str) and "=" not in value and "," not in value else ""
    with pytest.raises(BadArgument, match=rf"{key} = .*{re.escape(allowed)}") as caught:
        check(config), task_of(config)
    assert shown in str(caught.value) or (key, value) == ("sources", "")


def test_every_setting_has_a_wrong_value():
    # tests/runs/test_folder.py covers the other two.
    assert {key for key, *_ in WRONG} | {"out", "resume"} == set(DEFAULTS)


@pytest.mark.parametrize(
    ("others", "remedy"), [({"codec": "none"}, "give one of them"), (JOINT_OFF, "leave joint-preset out")]
)
def test_a_preset_of_bodies_that_would_do_nothing_is_refused(others, remedy):
    with pytest.raises(BadArgument, match=f"joint-preset = 'coarse'.*{remedy}"):
        check(DEFAULTS | {"joint-preset": "coarse"} | others)


def test_models_by_domain(tmp_path):
    task = task_of(DEFAULTS | {"data-root": str(tmp_path), "model": "small, duke=resnet18"})
    assert type(task.model("duke", 5)) is not type(task.model("msmt17", 5))


def test_weights_by_domain(tmp_path):
    for name in ("a.pth", "lr=0.1"):
        (tmp_path / name).touch()
    config = DEFAULTS | {"data-root": str(tmp_path), "weights": f"{tmp_path}/lr=0.1, duke={tmp_path}/a.pth, cuhk03="}
    check(config | JOINT_OFF | {"init": "given"})
    assert task_of(config).weights == {"": f"{tmp_path}/lr=0.1", "duke": f"{tmp_path}/a.pth", "cuhk03": ""}


@pytest.fixture
def with_files(tmp_path):
    for name in ("a.pth", "b.pth"):
        (tmp_path / name).touch()

    def configure(weights, **settings):
        return DEFAULTS | JOINT_OFF | {"weights": weights.replace("@", f"{tmp_path}/")} | settings

    return configure


@pytest.mark.parametrize("weights", ["", "msmt17=@a.pth", "@a.pth, duke="])
def test_given_weights_must_be_given(with_files, weights):
    with pytest.raises(BadArgument, match=r"init = 'given': no weights are given for 'duke'; say weights = 'duke="):
        check(with_files(weights, init="given"))


@pytest.mark.parametrize("weights", ["@a.pth", "duke=@a.pth", "@a.pth,duke=@b.pth"])
def test_given_weights_are_allowed(with_files, weights):
    check(with_files(weights, init="given"))
    check(with_files(weights, init="scratch"))


@pytest.mark.parametrize("init", ["best-peer", "average"])
def test_a_file_that_the_target_would_not_start_from_is_refused(with_files, init):
    said = (
        rf"weights = .*'duke' has a file of its own, but with init = '{init}' .*\(msmt17, market1501\); say init = 'given', "
        "body-rounds = 0 and co-training = 'off' to start from it"
    )
    with pytest.raises(BadArgument, match=said):
        check(with_files("@a.pth,duke=@b.pth", init=init, model="small,cuhk03=resnet18"))
    # The sources start from a file for all domains. If no source has its kind of model, the target starts from its own file.
    check(with_files("@a.pth", init=init))
    check(with_files("duke=@b.pth", init=init, model="small,duke=resnet18"))
    # A target that is a source too starts from its file at home.
    check(with_files("duke=@b.pth", init=init, sources="duke,msmt17"))


def test_every_target_needs_its_given_weights(with_files):
    with pytest.raises(BadArgument, match="no weights are given for 'yard'"):
        check(with_files("duke=@a.pth", init="given", targets="duke,yard"))
    check(with_files("duke=@a.pth,yard=@b.pth", init="given", targets="duke,yard"))


def test_the_task_knows_all_targets(tmp_path):
    assert task_of(DEFAULTS | {"data-root": str(tmp_path), "targets": "duke, cuhk03"}).targets == ("duke", "cuhk03")


@pytest.mark.parametrize("joint", [{"body-rounds": 2}, {"co-training": "turns"}])
def test_bodies_that_the_server_averages_cannot_be_sealed(joint):
    off = {"seal": True} | JOINT_OFF
    check_seal(DEFAULTS | off, in_city=True)
    with pytest.raises(BadArgument, match="the server averages bodies, so it must read them; say body-rounds = 0"):
        check_seal(DEFAULTS | off | joint, in_city=True)
