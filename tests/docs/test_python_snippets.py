"""Every Python snippet of README, guides and reference runs: a page's snippets one after another, as a reader runs them."""

import doctest
import inspect
import logging
import sys
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import digits
import fedretina.reuse
from pages import DOCS, GUIDES, INDEX, README, REFERENCE, blocks, name_of, read
from sample_run import make_run

PAGES = [page for page in [README, INDEX, *GUIDES, *REFERENCE] if blocks(page, "python")]
FEWEST = {"under-your-strategy.md": 7, "own-loop.md": 7, "test-a-strategy.md": 5, "own-task.md": 3, "README.md": 3}
GIVEN = {"studies.md": {"my_task": lambda setting: digits.Digits(targets=(setting.target,))}}
"""Names that a page's reader brings along."""


@pytest.fixture(autouse=True)
def reader(tmp_path, monkeypatch):
    """Work in an empty folder, with one run in the user's folder, as a reader has after the first guide."""
    logging.getLogger("flwr").setLevel(logging.CRITICAL)
    monkeypatch.setenv("FEDRETINA_HOME", str(tmp_path / "home"))
    monkeypatch.setitem(sys.modules, "lightning", SimpleNamespace(LightningModule=nn.Module))
    monkeypatch.chdir(tmp_path)
    make_run(tmp_path / "home" / "runs" / "first")


def run(page):
    """Run a page's snippets, and return the names that they made."""
    names = {"__name__": "snippet", **GIVEN.get(page.name, {})}
    for number, block in enumerate(blocks(page, "python")):
        where = f"{name_of(page)}, snippet {number}"
        if ">>>" not in block.text:
            exec(compile(block.text, where, "exec"), names)
            continue
        test = doctest.DocTestParser().get_doctest(block.text, names, where, where, 0)
        runner = doctest.DocTestRunner()
        assert test.examples
        runner.run(test, clear_globs=False)
        assert runner.summarize().failed == 0
        names.update(test.globs)
    return names


def check_lightning(names):
    images, labels = torch.randn(48, 3, 8, 8), torch.randint(4, (16,))
    target, source = (
        nn.Sequential(nn.Flatten(), nn.Linear(192, width), nn.ReLU(), nn.Linear(width, 4)) for width in (8, 16)
    )
    module = names["Student"](target, {"market1501": source}, images[:2])
    assert module.training_step(((images[:16], labels), images[16:]), 0).item() > 0
    assert len(module.configure_optimizers().param_groups) == 2  # of the target and of V


def check_study(names):
    assert "| committee |" in names["page"].read_text()


def check_digits(names):
    faint = names["faint"]
    assert faint.rounds[-1].metrics["accuracy"] > faint.baselines["alone"]["accuracy"]


CHECKS = {"own-loop.md": check_lightning, "studies.md": check_study, "own-task.md": check_digits}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_snippets_run(page):
    assert len(blocks(page, "python")) >= FEWEST.get(page.name, 1)
    names = run(page)
    CHECKS.get(page.name, lambda _: None)(names)


def test_the_task_of_40_lines_is_the_one_that_the_tests_use():
    shown = blocks(DOCS / "guides" / "own-task.md", "python")[0].text.strip()
    assert inspect.getsource(digits).endswith(f"\n{shown}\n")
    assert sum(bool(line.strip()) for line in shown.splitlines()) <= 45


@pytest.mark.parametrize("page", [README, DOCS / "guides" / "own-loop.md"], ids=name_of)
def test_the_example_of_reuse_is_the_one_of_the_docstring(page):
    parts = doctest.DocTestParser().get_examples(fedretina.reuse.__doc__ or "")
    example = "".join(part.source for part in parts).splitlines()
    shown = [[line for line in block.text.splitlines() if line] for block in blocks(page, "python")]
    assert example in shown
    assert parts[-1].want.strip() in read(page)


def test_the_example_of_the_docstring_runs():
    assert doctest.testmod(fedretina.reuse).failed == 0
