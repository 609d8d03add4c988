"""The guides run: every example in them is a doctest."""

import doctest
import logging
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"
GUIDES = ["under-your-strategy.md"]


@pytest.mark.parametrize("name", GUIDES)
def test_examples_run(name):
    logging.getLogger("flwr").setLevel(logging.CRITICAL)
    text = (DOCS / name).read_text(encoding="utf-8").replace("```", "")
    test = doctest.DocTestParser().get_doctest(text, {}, name, name, 0)
    assert len(test.examples) > 10
    runner = doctest.DocTestRunner()
    runner.run(test)
    assert runner.summarize().failed == 0
