"""Run the commands of docs/dom-cli.md and write what they print beneath them: `python benchmarks/dom_cli.py`."""

import re
import shlex
import tempfile
from contextlib import chdir
from pathlib import Path

import torch
from typer.testing import CliRunner

from fedretina.cli import app

PAGE = Path(__file__).parent.parent / "docs" / "dom-cli.md"
BLOCK = re.compile(r"```(python|console)\n(.*?)```", re.DOTALL)
WIDTH = "100"


def run(text: str) -> str:
    """Return the page with what its commands print now."""
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        Path("updates").mkdir()
        torch.save({"state_dict": {"head.weight": torch.ones(100, 64)}, "epoch": 3}, "model.pt")
        return BLOCK.sub(run_block, text)


def run_block(block: re.Match[str]) -> str:
    """Run a block's snippet or commands; return the block as it should be."""
    kind, body = block.groups()
    if kind == "python":
        exec(compile(body, PAGE.name, "exec"), {})
        return block.group()
    commands = [line for line in body.splitlines() if line.startswith("$ ")]
    return "```console\n" + "".join(f"{command}\n{said(command)}" for command in commands) + "```"


def said(command: str) -> str:
    """Return what a command prints, on either stream."""
    name, *arguments = shlex.split(command.removeprefix("$ "))
    assert name == "fedretina", command
    lines = CliRunner(env={"COLUMNS": WIDTH}).invoke(app, arguments).output.splitlines()
    return "".join(f"{line.rstrip()}\n" for line in lines)


if __name__ == "__main__":
    PAGE.write_text(run(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
