"""`fedretina dom` from the outside: files in, files out, one clear sentence and exit code 1 where that cannot be."""

import json
import os
import pickle
import pty
import re
import subprocess
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from typer.testing import CliRunner

from fedretina.cli import app
from fedretina.dom import DomConfig, decode, digest, inspect, read_model, write_model
from fedretina.dom import encode as encode_model

runner = CliRunner()
RUN = "from fedretina.cli import app; app()"


def model(seed=0):
    rng = np.random.default_rng(seed)
    return {
        "conv.weight": rng.standard_normal((32, 16, 3, 3)).astype(np.float32),
        "head.weight": rng.standard_normal((64, 32)).astype(ml_dtypes.bfloat16),
        "norm.bias": rng.standard_normal(16).astype(np.float32),
        "norm.count": np.array(seed),
    }


def moved(base, seed):
    """The model a few steps later."""
    steps = model(seed)
    return {
        name: np.array(array + 1)
        if array.dtype.kind == "i"
        else (array.astype(float) + 0.01 * steps[name].astype(float)).astype(array.dtype)
        for name, array in base.items()
    }


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    """A folder with the models old and new."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    write_model(Path("old.safetensors"), model(), metadata={"format": "pt"})
    write_model(Path("new.safetensors"), moved(model(), 1))
    return tmp_path


def dom(*arguments):
    return runner.invoke(app, ["dom", *map(str, arguments)])


def ok(*arguments):
    result = dom(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(*arguments):
    result = dom(*arguments)
    assert (result.exit_code, result.stdout) == (1, ""), result.output
    assert isinstance(result.exception, SystemExit)
    return result.stderr


def held(name):
    return read_model(Path(name)).version


def test_there_and_back(files):
    said = ok("encode", "new.safetensors", "--base", "old.safetensors", "-o", "up.dom")
    payload = Path("up.dom").read_bytes()
    assert payload == encode_model(moved(model(), 1), base=model())
    info = inspect(payload)
    assert f"version {info.result[:8]} of new.safetensors" in said
    assert f"({info.raw_bytes / len(payload):.1f} times smaller)" in said
    assert "relative error 0.25" in said
    said = ok("decode", "up.dom", "--base", "old.safetensors", "-o", "back.safetensors")
    assert held("back.safetensors").digest == digest(decode(payload, base=model())) == info.result
    assert f"version {info.result[:8]}" in said
    assert sorted(path.name for path in files.iterdir()) == [
        "back.safetensors",
        "new.safetensors",
        "old.safetensors",
        "up.dom",
    ]


def test_metadata_of_the_base_goes_on():
    ok("encode", "new.safetensors", "--base", "old.safetensors", "-o", "up.dom")
    ok("decode", "up.dom", "--base", "old.safetensors", "-o", "back.safetensors")
    assert read_model(Path("back.safetensors")).metadata == {"format": "pt"}


@pytest.mark.parametrize("lossless", [[], ["--lossless"]])
def test_metadata_of_the_model_travels(lossless):
    write_model(Path("new.safetensors"), moved(model(), 1), metadata={"format": "pt", "epoch": "7"})
    ok("encode", "new.safetensors", *lossless, "-o", "key.dom")
    ok("decode", "key.dom", "-o", "back.safetensors")
    assert read_model(Path("back.safetensors")).metadata == {"format": "pt", "epoch": "7"}
    ok("encode", "new.safetensors", *BASE, *lossless, "-o", "up.dom")
    ok("decode", "up.dom", *BASE, "-o", "back.safetensors")
    assert read_model(Path("back.safetensors")).metadata == {"format": "pt", "epoch": "7"}
    assert json.loads(ok("inspect", "up.dom", "--json"))["metadata"] == {"format": "pt", "epoch": "7"}
    assert "metadata: epoch = 7\nmetadata: format = pt\n" in ok("inspect", "up.dom")


def test_metadata_that_the_base_has_too_do_not_travel():
    write_model(Path("new.safetensors"), moved(model(), 1), metadata={"format": "pt"})
    ok("encode", "new.safetensors", *BASE, "-o", "up.dom")
    assert not inspect(Path("up.dom").read_bytes()).metadata
    ok("decode", "up.dom", *BASE, "-o", "back.safetensors")
    assert read_model(Path("back.safetensors")).metadata == {"format": "pt"}


def test_metadata_travels_along_a_chain(files):
    Path("updates").mkdir()
    for number, metadata in enumerate([{"format": "pt"}, {"format": "pt"}, {"format": "np"}, {}]):
        base = f"v{number - 1}.safetensors"
        write_model(Path("new.safetensors"), moved(model(), number), metadata=metadata)
        ok("encode", "new.safetensors", *(["--base", base] if number else []), "-o", f"updates/{number}.dom")
        ok("decode", "updates", "-o", f"v{number}.safetensors")
        assert read_model(Path(f"v{number}.safetensors")).metadata == (metadata or {"format": "np"})


def test_lossless_is_bit_by_bit():
    said = ok("encode", "new.safetensors", "--base", "old.safetensors", "--lossless", "-o", "up.dom")
    assert "relative error 0\n" in said
    ok("decode", "up.dom", "--base", "old.safetensors", "-o", "back.safetensors")
    assert held("back.safetensors") == held("new.safetensors")


def test_suffix_says_the_format():
    floats = {name: array for name, array in model().items() if array.dtype != ml_dtypes.bfloat16}
    write_model(Path("floats.npz"), floats)
    ok("encode", "floats.npz", "--lossless", "-o", "key.dom")
    ok("decode", "key.dom", "-o", "back.npz")
    ok("decode", "key.dom", "-o", "back.SafeTensors")
    assert held("back.npz") == held("back.SafeTensors") == held("floats.npz")


CONFIGS = {
    "--bits 4": DomConfig(bits=4),
    "--relative-error 0.05": DomConfig(relative_error=0.05),
    "--step 0.002": DomConfig(step=0.002),
    "--rms-step 1.5 --effort small": DomConfig(rms_step=1.5, effort="small"),
    "--effort small": DomConfig(effort="small"),
    "--keyframe-error 0.1": DomConfig(keyframe_error=0.1),
    "--bits 3 --effort fast --keyframe-error 0.1": DomConfig(bits=3, effort="fast", keyframe_error=0.1),
    "--lossless": DomConfig(lossless=True),
    "--budget 6kB": DomConfig(budget_bytes=6000),
}


@pytest.mark.parametrize("options", CONFIGS)
def test_options_are_the_configurations(options):
    ok("encode", "new.safetensors", "--base", "old.safetensors", *options.split(), "-o", "up.dom")
    assert Path("up.dom").read_bytes() == encode_model(moved(model(), 1), base=model(), config=CONFIGS[options])


@pytest.mark.parametrize("budget", ["6kB", "6000", "6000 B", "5.859375KiB", "0.006mb"])
def test_a_budget_is_kept(budget):
    ok("encode", "new.safetensors", "--base", "old.safetensors", "--budget", budget, "-o", "up.dom")
    assert 0.9 * 6000 < Path("up.dom").stat().st_size <= 6000


def test_the_least_budget_that_is_named_is_enough():
    said = refused("encode", "new.safetensors", "--budget", "10", "-o", "up.dom")
    ok("encode", "new.safetensors", "--budget", re.search(r"can take is (\d+)", said)[1], "-o", "up.dom")


def test_nan_is_refused_and_lossless_takes_it():
    bits = np.array([[0x7F800001, 0xFFC00000, 0x7F800000, 0xFF800000, 0x80000000]], np.uint32)
    write_model(Path("nan.safetensors"), {"bad": bits.view(np.float32), "fine": np.ones((3, 3), np.float32)})
    write_model(Path("fine.safetensors"), {"bad": np.zeros((1, 5), np.float32), "fine": np.ones((3, 3), np.float32)})
    reason = "tensor 'bad' holds NaN or infinity; allowed: finite values, or any with --lossless; correct the model"
    assert f"nan.safetensors: {reason}" in refused("encode", "nan.safetensors", "-o", "key.dom")
    assert "tensor 'bad' of the base holds NaN" in refused(
        "encode", "fine.safetensors", "--base", "nan.safetensors", "-o", "up.dom"
    )
    for new, base in (("nan", []), ("nan", ["--base", "fine.safetensors"]), ("fine", ["--base", "nan.safetensors"])):
        ok("encode", f"{new}.safetensors", *base, "--lossless", "-o", "up.dom")
        ok("decode", "up.dom", *base, "-o", "back.safetensors")
        assert held("back.safetensors").digest == held(f"{new}.safetensors").digest
        assert inspect(Path("up.dom").read_bytes()).format_version == (2 if new == "nan" else 1)
        ok("inspect", "up.dom", *base)


def test_sizes_that_mean_something():
    write_model(Path("empty.safetensors"), {})
    said = ok("encode", "empty.safetensors", "-o", "key.dom")
    assert "instead of 0 bytes (no weights)\nrelative error 0\n" in said
    shown = ok("inspect", "key.dom")
    assert "no weights" in shown
    assert rows(shown)[-1][3] == "-"
    ok("decode", "key.dom", "-o", "back.safetensors")
    assert held("back.safetensors").model == {}
    write_model(Path("tiny.safetensors"), {"w": np.ones(1, np.float32), "none": np.ones((0, 3), np.float32)})
    said = ok("encode", "tiny.safetensors", "-o", "key.dom")
    size = Path("key.dom").stat().st_size
    assert f"({size / 4:.1f} times larger)" in said
    shown = ok("inspect", "key.dom")
    assert f"{size / 4:.1f} times larger" in shown
    assert rows(shown)[0][3] == "-"


def test_a_mask_of_huge_values_does_not_hide_what_the_weights_lose():
    new = moved(model(), 1) | {"mask": np.where(np.tri(64, dtype=bool), 0.3, np.finfo(np.float32).min).astype(np.float32)}
    for mask in (new["mask"], new["mask"].astype(np.float64) / np.finfo(np.float32).max * np.finfo(np.float64).max):
        write_model(Path("new.safetensors"), new | {"mask": mask})
        write_model(Path("old.safetensors"), model() | {"mask": np.zeros_like(mask)})
        for options in ([], ["--budget", "9kB"]):
            said = ok("encode", "new.safetensors", *BASE, *options, "-o", "up.dom")
            found = json.loads(ok("inspect", "up.dom", *BASE, "--json"))["tensors"]
            told = float(re.search(r"relative error (\S+)", said)[1])
            largest = max(tensor["error"] or 0 for tensor in found if len(tensor["shape"]) > 1)
            assert 0.3 * largest < told < 1.1 * largest


BASE = ["--base", "old.safetensors"]
EXCLUDED = {
    "--bits 4 --budget 6kB": "--bits and --budget exclude each other; give one of them",
    "--bits 4 --relative-error 0.1": "--bits and --relative-error exclude each other",
    "--bits 0 --lossless": "--bits and --lossless exclude each other",
    "--budget 6kB --relative-error 0.1 --lossless": "--budget and --relative-error and --lossless exclude each other",
    "--lossless --keyframe-error 0.1": "--lossless and --keyframe-error exclude each other",
    "--budget 6kB --keyframe-error 0.1": "--budget and --keyframe-error exclude each other",
    "--step 0.01 --rms-step 1": "--step and --rms-step exclude each other",
    "--step 0.01 --lossless": "--step and --lossless exclude each other",
    "--rms-step 1 --budget 6kB": "--budget and --rms-step exclude each other",
    "--step 0": "--step is 0.0; allowed: a positive number",
    "--rms-step -1": "--rms-step is -1.0; allowed: a positive number",
    "--budget 6apples": "--budget is '6apples'; give bytes as in 200kB, 1.5MB, 300KiB or 204800",
    "--budget 0.4": "--budget is '0.4'",
    "--budget -5kB": "--budget is '-5kB'",
    "--budget 10": "new.safetensors: --budget is 10; the least that this model can take is",
    "--bits 99": "--bits is 99; allowed: an integer in [0, 15]; give one of these\n",
    "--relative-error 7": "--relative-error is 7.0; allowed: a number in [1e-6, 1)",
    "--keyframe-error nan": "--keyframe-error is nan; allowed",
    "--effort huge": "--effort is 'huge'; allowed: fast | balanced | small",
}


@pytest.mark.parametrize("options", EXCLUDED)
def test_options_that_cannot_be(options):
    said = refused("encode", "new.safetensors", *BASE, *options.split(), "-o", "up.dom")
    assert EXCLUDED[options] in said
    assert "DomConfig" not in said
    assert not Path("up.dom").exists()


@pytest.mark.parametrize("options", ["--bits 4", "--relative-error 0.1", "--step 0.1", "--rms-step 1"])
def test_options_about_a_difference_need_a_base(options):
    reason = refused("encode", "new.safetensors", *options.split(), "-o", "up.dom")
    assert f"{options.split()[0]} is about the difference from a base; give --base, or --keyframe-error instead" in reason


def spoil():
    """What can stand where a model should."""
    Path("pickle.pt").write_bytes(pickle.dumps({"w": 1}))
    Path("pickle.safetensors").write_bytes(pickle.dumps({"w": 1}))
    Path("text.safetensors").write_text("no model")
    Path("text.npz").write_text("no model")
    Path("text.txt").write_text("no model")
    Path("folder.npz").mkdir()
    write_model(Path("nan.npz"), {"fine": np.ones(3)})
    data = Path("nan.npz").read_bytes()
    np.savez("nan.npz", bad=np.array([np.nan]))
    Path("cut.npz").write_bytes(data[:-9])


NO_MODELS = {
    "none.npz": "No such file",
    "folder.npz": "Is a directory",
    "pickle.pt": "is a pickle",
    "pickle.safetensors": "fedretina dom convert pickle.safetensors -o pickle-converted.safetensors",
    "text.safetensors": "is damaged or no .safetensors",
    "text.npz": "is damaged or no .npz",
    "text.txt": "of an unknown kind; give a model as .safetensors or .npz",
    "cut.npz": "is damaged or no .npz",
}


@pytest.mark.parametrize("name", NO_MODELS)
def test_no_models(name):
    spoil()
    ok("encode", "new.safetensors", *BASE, "-o", "up.dom")
    for arguments in (
        ["encode", name, "-o", "x.dom"],
        ["encode", "new.safetensors", "--base", name, "-o", "x.dom"],
        ["decode", "up.dom", "--base", name, "-o", "x.npz"],
        ["inspect", "up.dom", "--base", name],
    ):
        reason = refused(*arguments)
        assert NO_MODELS[name] in reason
        assert reason.startswith(name)
    assert not Path("x.dom").exists()
    assert not Path("x.npz").exists()


def test_outputs_that_cannot_be():
    ok("encode", "new.safetensors", "-o", "up.dom")
    Path("folder.dom").mkdir()
    Path("folder.npz").mkdir()
    for output, reason in {
        "up.npz": "should end in .dom",
        "folder.dom": "is no regular file",
        "none/up.dom": "there is no folder",
    }.items():
        assert reason in refused("encode", "new.safetensors", "-o", output)
    for output, reason in {
        "model.pt": "should end in .safetensors or .npz",
        "folder.npz": "is no regular file",
        "none/model.npz": "there is no folder",
        "model.npz": "'head.weight' is bfloat16, which .npz cannot hold; write .safetensors",
    }.items():
        assert reason in refused("decode", "up.dom", "-o", output)


def flip(data):
    return data[:-1] + bytes([data[-1] ^ 1])


DAMAGE = {
    "cut": (lambda data: data[:-10], "bytes; drop it"),
    "empty": (lambda data: b"", "within its envelope"),
    "flipped": (flip, "check sum is wrong"),
    "longer": (lambda data: data + b"x", "too many"),
    "foreign": (lambda data: b"PK\3\4" + data, "does not begin with FDOM"),
    "newer": (lambda data: data[:4] + b"\xfe" + data[5:], "format 254"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_payloads_leave_the_old_output(kind):
    damage, reason = DAMAGE[kind]
    ok("encode", "new.safetensors", *BASE, "-o", "up.dom")
    Path("up.dom").write_bytes(damage(Path("up.dom").read_bytes()))
    Path("out.safetensors").write_bytes(b"precious")
    before = sorted(path.name for path in Path().iterdir())
    for arguments in (["decode", "up.dom", *BASE, "-o", "out.safetensors"], ["inspect", "up.dom"]):
        said = refused(*arguments)
        assert reason in said
        assert said.startswith("up.dom: ")
    assert Path("out.safetensors").read_bytes() == b"precious"
    assert sorted(path.name for path in Path().iterdir()) == before


def test_the_base_must_be_the_one():
    ok("encode", "new.safetensors", *BASE, "-o", "up.dom")
    old, new = held("old.safetensors").digest[:8], held("new.safetensors").digest[:8]
    assert f"up.dom builds on version {old}; give that model with --base" in refused("decode", "up.dom", "-o", "x.npz")
    for arguments in (["decode", "up.dom", "-o", "x.safetensors"], ["inspect", "up.dom"]):
        said = refused(*arguments, "--base", "new.safetensors")
        assert f"up.dom builds on version {old}, and new.safetensors is version {new}" in said


def test_no_payloads():
    assert "none.dom cannot be read: No such file" in refused("inspect", "none.dom")
    assert "none.dom cannot be read: No such file" in refused("decode", "none.dom", "-o", "x.npz")
    assert "cannot be read: Is a directory" in refused("inspect", ".")
    for arguments in (["inspect"], ["decode", "-o", "x.npz"], ["chain"], ["encode", "-o", "x.dom"]):
        assert "File name too long" in refused(*arguments, "x" * 300)
    ok("encode", "new.safetensors", "-o", "key.dom")
    assert "--to chooses among a folder's versions" in refused("decode", "key.dom", "-o", "x.npz", "--to", "ab")


def test_inspect_shows_each_tensor():
    ok("encode", "new.safetensors", *BASE, "-o", "up.dom")
    info = inspect(Path("up.dom").read_bytes(), base=model())
    shown = ok("inspect", "up.dom", *BASE)
    for tensor in info.tensors:
        line = next(line for line in shown.splitlines() if tensor.name in line)
        assert tensor.dtype in line
        assert tensor.coding in line
        assert f"{tensor.bits_per_weight:.2f}" in line
        assert ("exact" if tensor.error is None else f"{tensor.error:.3g}") in line
    assert "32x16x3x3" in shown
    assert f"version {info.result[:8]} over {info.base[:8]}" in shown
    assert "4 tensors" in shown
    unnamed = ok("inspect", "up.dom")
    assert unnamed.count("(the base's)") == 4
    assert "give it with --base" in unnamed


@pytest.mark.parametrize("name", ["module.w", "adapter.a"])
def test_a_base_without_any_counterpart_is_told_and_harmless(name):
    write_model(Path("plain.npz"), {"w": np.ones((3, 4), np.float32)})
    write_model(Path("other.npz"), {name: np.full((3, 4), 2, np.float32)})
    Path("updates").mkdir()
    arguments = ["encode", "other.npz", "--base", "plain.npz", "-o", "updates/up.dom"]
    done = subprocess.run([sys.executable, "-c", RUN, "dom", *arguments], capture_output=True, text=True, check=True)
    assert f"the base is of no use: tensor '{name}' is " in done.stderr
    assert "Give a base with the model's names, shapes and dtypes, or no base" in done.stderr
    assert name in ok("inspect", "updates/up.dom")
    for source in ("updates", "updates/up.dom"):
        ok("decode", source, "--base", "plain.npz", "-o", "out.npz")
        assert list(held("out.npz").model) == [name]
    ok("encode", "plain.npz", "--lossless", "-o", "updates/key.dom")
    ok("decode", "updates", "-o", "out.npz")
    assert list(held("out.npz").model) == [name]


def test_inspect_of_a_keyframe_needs_nothing_else():
    ok("encode", "old.safetensors", "--lossless", "-o", "key.dom")
    shown = ok("inspect", "key.dom")
    assert "conv.weight" in shown
    assert "as a keyframe, lossless" in shown
    assert "--base" not in shown


def test_inspect_as_json():
    ok("encode", "new.safetensors", *BASE, "-o", "up.dom")
    info = inspect(Path("up.dom").read_bytes(), base=model())
    shown = json.loads(ok("inspect", "up.dom", *BASE, "--json"))
    assert {name: shown[name] for name in ("base", "result", "payload_bytes", "raw_bytes", "lossless")} == {
        "base": info.base,
        "result": info.result,
        "payload_bytes": info.payload_bytes,
        "raw_bytes": info.raw_bytes,
        "lossless": False,
    }
    for row, tensor in zip(shown["tensors"], info.tensors, strict=True):
        assert (row["name"], row["shape"], row["dtype"]) == (tensor.name, list(tensor.shape), tensor.dtype)
        assert (row["step"], row["error"], row["bytes"]) == (tensor.step, tensor.error, tensor.bytes)
        assert row["bits_per_weight"] == tensor.bits_per_weight
    assert [row["name"] for row in json.loads(ok("inspect", "up.dom", "--json"))["tensors"]] == [None] * 4


def test_hostile_names_do_not_reach_the_terminal():
    write_model(Path("hostile.safetensors"), {"[red]x\x1b[2J\n\u202e": np.ones(3, np.float32)})
    ok("encode", "hostile.safetensors", "-o", "key.dom")
    shown = ok("inspect", "key.dom")
    assert "\x1b" not in shown
    assert "[red]x\\x1b[2J\\n\\u202e" in shown


@pytest.fixture
def updates(files):
    """A keyframe, two deltas, and the exact skip over both: a stream's folder, and what its newest version is."""
    folder = Path("updates")
    folder.mkdir()
    ok("encode", "old.safetensors", "-o", folder / "key.dom")
    ok("decode", folder / "key.dom", "-o", "v0.safetensors")
    for number in (1, 2):
        base = f"v{number - 1}.safetensors"
        write_model(Path("trained.safetensors"), moved(held(base).model, number))
        ok("encode", "trained.safetensors", "--base", base, "-o", folder / f"up{number}.dom")
        ok("decode", folder / f"up{number}.dom", "--base", base, "-o", f"v{number}.safetensors")
    ok("encode", "v2.safetensors", "--base", "v0.safetensors", "--lossless", "-o", folder / "skip.dom")
    return folder


def rows(shown):
    """The cells of each line of a table."""
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in shown.splitlines() if line.startswith("│")]


def test_a_chain_is_shown(updates):
    shown = ok("chain", updates)
    sizes = {path.name: path.stat().st_size for path in updates.iterdir()}
    assert [row[:1] + row[2:5] for row in rows(shown)] == [
        ["V0", "", "key.dom", "keyframe"],
        ["V1", "V0", "up1.dom", "delta"],
        ["V2", "V0", "skip.dom", "exact delta"],
        ["V2", "V1", "up2.dom", "delta"],
    ]
    assert [row[1] for row in rows(shown)] == [held(f"v{number}.safetensors").digest[:8] for number in (0, 1, 2, 2)]
    assert f"{sizes['up1.dom'] / 1000:.1f} kB" in rows(shown)[1]
    assert rows(shown)[1][-1] == f"{(sizes['key.dom'] + sizes['up1.dom']) / 1000:.1f} kB"
    assert f"newest: V2 ({held('v2.safetensors').digest[:8]}), by key.dom, up1.dom, up2.dom" in shown
    assert not any(word in shown for word in ("missing", "fork", "damaged", "circle"))


def test_decode_follows_the_cheapest_way_to_the_newest(updates):
    said = ok("decode", updates, "-o", "out.safetensors")
    assert "by key.dom (keyframe), up1.dom (delta), up2.dom (delta)" in said
    assert held("out.safetensors") == held("v2.safetensors")
    (updates / "up1.dom").unlink()
    result = dom("decode", updates, "-o", "out.safetensors")
    assert "by key.dom (keyframe), skip.dom (exact delta)" in result.stdout
    assert f"passed over: up2.dom: the base, version {held('v1.safetensors').digest[:8]}, is missing" in result.stderr
    assert held("out.safetensors") == held("v2.safetensors")


def test_decode_to_any_version(updates):
    for number in (0, 1, 2):
        version = held(f"v{number}.safetensors")
        ok("decode", updates, "-o", "out.safetensors", "--to", version.digest[:10])
        assert held("out.safetensors") == version
    assert "0 versions begin with 'xyz'" in refused("decode", updates, "-o", "out.safetensors", "--to", "xyz")
    assert "3 versions begin with ''" in refused("decode", updates, "-o", "out.safetensors", "--to", "")


def test_decode_from_a_base_or_a_model_in_the_folder(updates):
    (updates / "key.dom").unlink()
    lost = held("v0.safetensors").digest[:8]
    said = refused("decode", updates, "-o", "out.safetensors")
    assert f"no version can be reached: {lost} is missing, skip.dom builds on it; give one as the base" in said
    shown = ok("chain", updates)
    assert "newest: none can be reached" in shown
    assert f"missing: {lost}, the base of skip.dom, up1.dom" in shown
    said = ok("decode", updates, "-o", "out.safetensors", "--base", "v1.safetensors")
    assert "by v1.safetensors (model), up2.dom (delta)" in said
    assert held("out.safetensors") == held("v2.safetensors")
    Path("v0.safetensors").rename(updates / "v0.safetensors")
    ok("decode", updates, "-o", "again.safetensors")
    assert held("again.safetensors") == held("v2.safetensors")
    assert rows(ok("chain", updates))[0][3:] == ["v0.safetensors", "model", "held", ""]


def test_what_is_held_already_is_copied(updates):
    said = ok("decode", updates, "-o", "out.safetensors", "--base", "v2.safetensors")
    assert "by v2.safetensors (model)" in said
    assert held("out.safetensors") == held("v2.safetensors")


def test_forks_and_circles_ask_for_a_choice(updates):
    ok("encode", "new.safetensors", "--base", "v1.safetensors", "-o", updates / "fork.dom")
    first, second = held("v2.safetensors").digest, inspect((updates / "fork.dom").read_bytes()).result
    said = refused("decode", updates, "-o", "out.safetensors")
    assert "the newest version is ambiguous" in said
    assert "--to" in said
    assert not Path("out.safetensors").exists()
    shown = ok("chain", updates)
    assert all(version[:8] in shown.split("newest: ambiguous")[1] for version in (first, second))
    assert f"fork: after V1 ({held('v1.safetensors').digest[:8]})" in shown
    ok("decode", updates, "-o", "out.safetensors", "--to", second[:8])
    assert held("out.safetensors").digest == second
    (updates / "fork.dom").unlink()
    ok("encode", "v0.safetensors", "--base", "v2.safetensors", "--lossless", "-o", updates / "back.dom")
    assert "back.dom leads back to" in refused("decode", updates, "-o", "out.safetensors")
    assert "circle: back.dom leads back to V0" in ok("chain", updates)


def test_damaged_files_of_a_chain_are_named(updates):
    (updates / "up3.dom").write_bytes((updates / "up2.dom").read_bytes()[:-1])
    (updates / "pickle.npz").write_bytes(pickle.dumps(1))
    shown = ok("chain", updates)
    assert f"damaged: {updates / 'up3.dom'}: " in shown
    assert f"damaged: {updates / 'pickle.npz'} is a pickle" in shown
    said = refused("decode", updates, "-o", "out.safetensors")
    assert f"passed over: {updates / 'up3.dom'}: " in said
    assert not Path("out.safetensors").exists()
    choice = re.search(r"`(--to \w+)`", said)[1]
    result = dom("decode", updates, "-o", "out.safetensors", *choice.split())
    assert (result.exit_code, f"passed over: {updates / 'up3.dom'}: " in result.stderr) == (0, True)
    assert held("out.safetensors") == held("v2.safetensors")
    (updates / "up3.dom").unlink()
    (updates / "pickle.npz").unlink()
    ok("decode", updates, "-o", "out.safetensors")


@pytest.mark.parametrize("name", ["up2.dom", "up1.dom"])
def test_a_damaged_link_never_gives_an_older_version(updates, name):
    (updates / "skip.dom").unlink()
    (updates / name).write_bytes((updates / name).read_bytes()[:-1])
    Path("out.safetensors").write_bytes(b"precious")
    said = refused("decode", updates, "-o", "out.safetensors")
    assert "a newer version than" in said
    assert name in said
    assert Path("out.safetensors").read_bytes() == b"precious"
    choice = re.search(r"`(--to \w+)`", said)[1]
    ok("decode", updates, "-o", "out.safetensors", *choice.split())
    assert held("out.safetensors") == held("v1.safetensors" if name == "up2.dom" else "v0.safetensors")


def test_folders_without_payloads():
    Path("empty").mkdir()
    for arguments in (["chain", "empty"], ["decode", "empty", "-o", "x.npz"]):
        assert "empty holds no .dom file" in refused(*arguments)
    assert "none cannot be read: No such file" in refused("chain", "none")
    assert "old.safetensors cannot be read: Not a directory" in refused("chain", "old.safetensors")


def run(*arguments, stderr):
    command = [sys.executable, "-c", RUN, "dom", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=stderr)


def test_bars_are_shown_on_a_terminal_and_nowhere_else(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # which must not count as a terminal
    arguments = ["encode", "new.safetensors", "--base", "old.safetensors", "-o", "up.dom"]
    assert run(*arguments, stderr=subprocess.PIPE).stderr == b""
    ours, theirs = pty.openpty()
    done = run(*arguments, stderr=theirs)
    os.close(theirs)
    shown = os.read(ours, 10**5)
    os.close(ours)
    assert b"reading new.safetensors" in shown
    assert b"coding" in shown
    assert b"reading" not in done.stdout


def test_starting_is_quick():
    heavy = ["numpy", "pcodec", "safetensors", "torch", "flwr", "matplotlib"]
    code = f"import sys, fedretina.cli; print(sorted(set({heavy}) & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
