"""What a message advises works: its commands exist, and its examples are run here as they are printed."""

import ast
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from typer.main import get_command
from typer.testing import CliRunner

from fedretina import home
from fedretina.cli import app
from fedretina.cli.dom_config import parse_size
from fedretina.cli.options import parse_pixels, parse_seeds
from fedretina.dom import encode, read_model, write_model
from fedretina.errors import BadArgument

ROOT = Path(__file__).parent.parent
FILES = [path for room in ("fedretina", "strategies", "simulations") for path in sorted((ROOT / room).rglob("*.py"))]
COMMAND = re.compile(r"`(fedretina [^`]*)`")
MODEL = {"w": np.linspace(-1, 1, 60, dtype=np.float32).reshape(6, 10)}
runner = CliRunner()


def messages(file):
    """Every text of a file that is no docstring, with {} for what is put into it."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.value


def commands():
    for file in FILES:
        for text in messages(file):
            for found in COMMAND.findall(text):
                yield pytest.param(found, id=f"{file.stem}: {found}")


@pytest.mark.parametrize("advised", [*commands()])
def test_commands_that_messages_name_exist(advised):
    words = advised.replace("{}", "X").split()[1:]
    command = get_command(app)
    while words and hasattr(command, "commands"):
        assert words[0] in command.commands, f"`{advised}`: there is no command {words[0]!r}"
        command = command.commands[words.pop(0)]
    options = {name for parameter in command.params for name in parameter.opts}
    assert {word for word in words if word.startswith("-")} <= options, advised


def test_some_messages_name_commands():
    assert len([*commands()]) > 3


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_model(Path("good.safetensors"), MODEL)
    return tmp_path


def dom(*arguments):
    result = runner.invoke(app, ["dom", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def run_advice(said):
    """Run the command within a message."""
    result = runner.invoke(app, shlex.split(COMMAND.search(said)[1])[1:])
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("name", ["up.dom", "it's mine.dom", "misnamed.safetensors", "-o.dom"])
def test_a_payload_in_place_of_a_model(folder, name):
    Path(name).write_bytes(encode(MODEL))
    said = dom("encode", f"./{name}", "-o", "a.dom").stderr
    run_advice(said)
    assert read_model(Path(f"{Path(name).stem}-decoded.safetensors")).version.model.keys() == {"w"}


def test_the_name_that_a_file_should_have(folder):
    Path("model.pt").write_bytes(Path("good.safetensors").read_bytes())
    said = dom("encode", "model.pt", "-o", "a.dom").stderr
    Path("model.pt").rename(re.search(r"rename it to (\S+)", said)[1])
    assert dom("encode", "model.safetensors", "-o", "a.dom").exit_code == 0


def test_the_format_that_can_hold_a_model(folder):
    dom("encode", "good.safetensors", "-o", "a.dom")
    bfloat16 = read_model(Path("good.safetensors")).version.model["w"].astype("bfloat16")
    for suffix, model in ((".npz", {"w": bfloat16}), (".safetensors", {"__metadata__": MODEL["w"]})):
        with pytest.raises(BadArgument) as caught:
            write_model(Path(f"model{suffix}"), model)
        advised = re.search(r"write (\.\w+)$", str(caught.value))[1]
        write_model(Path(f"model{advised}"), model)
        assert read_model(Path(f"model{advised}")).version.model.keys() == model.keys()


def test_the_base_that_a_payload_needs(folder):
    write_model(Path("new.safetensors"), {"w": MODEL["w"] * 2})
    dom("encode", "new.safetensors", "--base", "good.safetensors", "-o", "up.dom")
    for arguments in (["decode", "up.dom", "-o", "a.npz"], ["decode", "up.dom", "--base", "new.safetensors", "-o", "a.npz"]):
        said = dom(*arguments).stderr
        version = re.search(r"builds on version (\w+)", said)[1]
        assert read_model(Path("good.safetensors")).version.digest.startswith(version)
    assert dom("decode", "up.dom", "--base", "good.safetensors", "-o", "a.npz").exit_code == 0


def test_the_version_that_a_report_advises(folder):
    Path("updates").mkdir()
    for number, model in enumerate([MODEL, {"w": MODEL["w"] * 2}]):
        write_model(Path("new.safetensors"), model)
        dom("encode", "new.safetensors", "-o", f"updates/{number}.dom")
    for said in (dom("chain", "updates").stdout, dom("decode", "updates", "-o", "a.npz").stderr):
        advised = re.search(r"`(--to \w+)`", said)[1].split()
        assert dom("decode", "updates", "-o", "a.npz", *advised).exit_code == 0


def test_examples_of_values():
    with pytest.raises(BadArgument, match="give bytes as in") as caught:
        parse_size("much")
    examples = re.search(r"as in (.*)", str(caught.value))[1]
    assert [parse_size(text) for text in re.split(", | or ", examples)] == [200_000, 1_500_000, 307_200, 204_800]
    with pytest.raises(BadArgument, match="such as") as caught:
        parse_seeds("x", [])
    assert parse_seeds(re.search(r"such as (\S+)", str(caught.value))[1], []) == [0, 1, 2]
    with pytest.raises(BadArgument, match="such as") as caught:
        parse_pixels("x")
    assert parse_pixels(re.search(r"such as (\S+)", str(caught.value))[1]) == (256, 128)


def test_the_folder_that_the_environment_names(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("FEDRETINA_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(BadArgument, match="set FEDRETINA_HOME to a folder that you may write in") as caught:
        home.runs()
    monkeypatch.setenv(re.search(r"set (\w+) to", str(caught.value))[1], str(tmp_path / "home"))
    assert home.runs().is_dir()
