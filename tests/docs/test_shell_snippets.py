"""Every command in README and docs names commands, options, keys and files that are there."""

import itertools
import re
import shlex
import tomllib

import pytest
import typer
from flwr.cli.run import run as flwr_run
from typer.main import get_command

from fedretina.cli import app
from pages import GUIDES, INDEX, PAGES, README, REFERENCE, ROOT, blocks, name_of, prose, read

SHOWN = [page for page in [README, INDEX, *GUIDES, *REFERENCE, ROOT / "CONTRIBUTING.md"] if page in PAGES]
OTHERS = {
    "pip",
    "python3",
    "pytest",
    "pre-commit",
    "pkill",
    ".",
    "flower-supernode",
    "flower-superlink",
    "uv",
    "sudo",
    "docker",
    "ray",
    "export",
}
"""Commands that are not FedRetina's; their options are not checked."""
EXTRAS = tomllib.loads(read(ROOT / "pyproject.toml"))["project"]["optional-dependencies"]
FLWR = typer.Typer()
FLWR.command()(flwr_run)
TARGETS = re.findall(r"^([\w-]+):", read(ROOT / "Makefile"), re.MULTILINE)


def commands(page):
    """List a page's commands: those of its blocks, and those in the text that begin with a command's name."""
    text = prose(page)
    shown = [line for block in blocks(page, "bash") for line in block.text.splitlines() if line.strip()]
    typed = [
        line.removeprefix("$ ") for block in blocks(page, "console") for line in block.text.splitlines() if line[:2] == "$ "
    ]
    inline = re.findall(r"`((?:fedretina|flwr run|python|make|pytest|pip) [^`]+)`", text)
    options = re.findall(r"`((?:-c|--federation-config) \"[^`]+)`", text)
    lines = [*shown, *typed, *inline, *(f"flwr run simulations/duke_target {option}" for option in options)]
    parts = [part for line in lines for part in line.split("&&")]
    return [shlex.split(" ".join(part.split()), comments=True) for part in parts]


def check(words):
    """Fail if a command names what is not there."""
    name, *rest = words
    checks = {"fedretina": check_fedretina, "flwr": check_flwr, "python": check_python, "make": check_make, "pip": check_pip}
    if name in checks:
        checks[name](rest)
    else:
        assert name in OTHERS, f"unknown command {name}"


def check_options(command, words):
    known = {option for parameter in command.params for option in [*parameter.opts, *parameter.secondary_opts]} | {"--help"}
    unknown = [word for word in words if word.startswith("-") and word not in known]
    assert not unknown, f"unknown options {unknown}"


def check_fedretina(words):
    command = get_command(app)
    while getattr(command, "commands", None) and words and not words[0].startswith("-"):
        assert words[0] in command.commands, f"fedretina has no command {words[0]}"
        command, words = command.commands[words[0]], words[1:]
    check_options(command, words)
    arguments = (p for p in command.params if p.param_type_name == "argument")
    choices = next((p.type.choices for p in arguments if hasattr(p.type, "choices")), None)
    assert not (choices and words) or words[0] in choices, f"{words[0]} is none of {choices}"


def check_flwr(words):
    assert words[0] == "run", words
    check_options(get_command(FLWR), words[1:])
    if words[1].isupper():  # a placeholder: APP
        return
    folder = ROOT / words[1]
    keys = tomllib.loads(read(folder / "pyproject.toml"))["tool"]["flwr"]["app"]["config"]
    for option, value in itertools.pairwise(words):
        if option in ("-c", "--run-config"):
            given = tomllib.loads("\n".join(re.findall(r"[\w-]+=(?:'[^']*'|\"[^\"]*\"|\S+)", value)))
            assert given, f"no keys in {value}"
            assert set(given) <= set(keys), f"unknown keys {set(given) - set(keys)}"
            wrong = [key for key in given if not isinstance(given[key], (type(keys[key]), int))]
            assert not wrong, f"keys of another type: {wrong}"


def check_python(words):
    path = ROOT / words[0]
    assert path.exists(), f"{words[0]} is missing"
    files = [path] if path.is_file() else sorted(path.rglob("*.py"))
    source = "".join(map(read, files))
    for word in words[1:]:
        if word.startswith("--"):
            assert f'"{word}"' in source or f"{word.removeprefix('--').replace('-', '_')}:" in source, (
                f"unknown option {word}"
            )


def check_make(words):
    for word in words:
        assert "=" in word or word in TARGETS, f"the Makefile has no target {word}"


def check_pip(words):
    for word in words:
        if match := re.fullmatch(r"\.(?:\[(\w+)\])?", word):
            assert match[1] is None or match[1] in EXTRAS, f"unknown extra {word}"
        if word.endswith(".txt"):
            assert (ROOT / word).exists(), f"{word} is missing"


@pytest.mark.parametrize("page", SHOWN, ids=name_of)
def test_commands_name_what_is_there(page):
    for words in commands(page):
        try:
            check(words)
        except AssertionError as error:
            raise AssertionError(f"{name_of(page)}: {shlex.join(words)}: {error}") from error


@pytest.mark.parametrize("page", [*SHOWN, ROOT / "SECURITY.md"], ids=name_of)
def test_no_page_shows_a_connection_without_tls(page):
    assert "--insecure" not in read(page)


def test_there_are_commands():
    assert len([words for page in SHOWN for words in commands(page)]) > 50


@pytest.mark.parametrize(
    "line",
    [
        "fedretina dom encode new.safetensors --wrong 1",
        "fedretina study table9",
        "fedretina page",
        "flwr run simulations/duke_target -c 'rouns=3'",
        "flwr run simulations/duke_target --wrong",
        "python benchmarks/nothing.py",
        "python benchmarks/main_job.py OUT --sneeds 1",
        "make nothing",
        "pip install -e .[nothing]",
        "feddretina report",
    ],
)
def test_wrong_commands_are_found(line):
    with pytest.raises(AssertionError):
        check(shlex.split(line))
