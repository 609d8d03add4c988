"""docs/dom-cli.md shows what its commands print."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_is_what_its_commands_print():
    spec = importlib.util.spec_from_file_location("dom_cli", ROOT / "benchmarks" / "dom_cli.py")
    page = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(page)
    text = page.PAGE.read_text(encoding="utf-8")
    assert text.count("\n$ fedretina dom ") == 13
    assert page.run(text) == text, "run python benchmarks/dom_cli.py and look at what changed"
