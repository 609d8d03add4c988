import doctest
from pathlib import Path

import fedretina.reuse as room

PAGE = Path(__file__).parents[2] / "docs" / "reuse-example.md"


def test_the_page_shows_the_example_that_the_docstring_runs() -> None:
    page = PAGE.read_text(encoding="utf-8")
    shown = page.split("```python\n")[1].split("```")[0]
    parts = doctest.DocTestParser().get_examples(room.__doc__ or "")
    run = "".join(part.source for part in parts)
    assert run.splitlines() == [line for line in shown.splitlines() if line]
    assert parts[-1].want.strip() in page
    assert doctest.testmod(room).failed == 0
