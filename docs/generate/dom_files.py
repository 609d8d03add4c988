"""docs/guides/dom-files.md with what its commands print."""

import re
import shlex
import tempfile
from contextlib import chdir
from pathlib import Path

import torch
from typer.testing import CliRunner

from fedretina.cli import app

PAGE = Path(__file__).parents[1] / "guides" / "dom-files.md"
BLOCK = re.compile(r"```(python|console)\n(.*?)```", re.DOTALL)
Names = dict[str, object]
WIDTH = "100"


def page() -> str:
    """Return the guide with what its commands print now."""
    return run(PAGE.read_text(encoding="utf-8"))


def run(text: str) -> str:
    """Return the page with what its commands print now."""
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        Path("updates").mkdir()
        torch.save({"state_dict": {"head.weight": torch.ones(100, 64)}, "epoch": 3}, "model.pt")
        names: Names = {}
        return BLOCK.sub(lambda block: run_block(block, names), text)


def run_block(block: re.Match[str], names: Names) -> str:
    """Run a block's snippet or commands; return the block as it should be."""
    kind, body = block.groups()
    if kind == "python":
        exec(compile(body, PAGE.name, "exec"), names)
        return block.group()
    commands = [line for line in body.splitlines() if line.startswith("$ ")]
    return "```console\n" + "".join(f"{command}\n{output_of(command)}" for command in commands) + "```"


def output_of(command: str) -> str:
    """Return what a command prints, on either stream."""
    name, *arguments = shlex.split(command.removeprefix("$ "))
    assert name == "fedretina", command
    lines = CliRunner(env={"COLUMNS": WIDTH}).invoke(app, arguments).output.splitlines()
    return "".join(f"{line.rstrip()}\n" for line in lines)
