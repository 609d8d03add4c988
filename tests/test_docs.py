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


def test_pages_of_studies_are_of_several_seeds():
    makefile = (DOCS.parent / "Makefile").read_text(encoding="utf-8")
    assert "--quick" not in makefile.split("\ndocs:")[1]
    for page in (DOCS / "studies").glob("*.md"):
        text = page.read_text(encoding="utf-8")
        assert "--quick" not in text, f"{page}: a look, not a result"
        assert "over the seeds." in text, f"{page}: one seed"
