"""Messages that the guides quote are those of the code."""

import re

from pages import DOCS, ROOT, read


def literals():
    """Return the text of the code in `fedretina.flower`, its string literals joined where they go on in the next line."""
    code = "".join(read(path) for path in sorted((ROOT / "fedretina" / "flower").glob("*.py")))
    return re.sub(r"\"\s*\n\s*f?\"", "", code)


def test_messages_of_the_table_are_in_the_code():
    page = read(DOCS / "guides" / "under-your-strategy.md").split("## When something goes wrong")[1].split("##")[0]
    cells = re.findall(r"^\| (.*?) \|", page, re.MULTILINE)
    quoted = [
        part for cell in cells for text in re.findall(r'"(.+?)"', cell) for part in re.split(r"\.\.\. | A, | B: ", text)
    ]
    assert len(quoted) > 4
    for part in filter(None, quoted):
        assert part in literals(), f"{part!r} is no message of fedretina.flower"
