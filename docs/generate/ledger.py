"""docs/reference/ledger.md, from the dataclass of a row and the docstrings beside it."""

import inspect
import json
import re
from collections.abc import Iterator
from dataclasses import asdict

from fedretina import ledger
from fedretina.ledger import KINDS, Row
from generate.markdown import table

EXAMPLE = Row(
    round=2,
    node=7,
    domain="duke",
    direction="up",
    kind="delta",
    stream="duke",
    version=2,
    base="8f3a61c2",
    digest="77d0b1e4",
    raw_bytes=1_480_212,
    wire_bytes=98_104,
    encode_s=0.04,
    decode_s=0.01,
)
HEAD = """# The ledger

After this page you can read `ledger.jsonl`: every message between server and nodes, with its bytes.

```python
from fedretina.ledger import Ledger, Row, totals

example = {example}
ledger = Ledger(None)  # a path instead of None writes the rows to that file
ledger.append(Row(**example))
print(totals(ledger.rows).factor)  # how many times fewer bytes than plain Flower
```

The file has one JSON object a line, and only grows. `fedretina.ledger.read(path)` reads it. `docs/generate` writes this
page from `fedretina.ledger.Row`; digests in real rows have 64 digits.
"""


def page() -> str:
    """Write the page."""
    example = json.dumps(asdict(EXAMPLE), indent=4).replace("\n}", ",\n}")
    columns = [[f"`{name}`", kind, text] for name, kind, text in parameters(inspect.getdoc(Row) or "")]
    assert [row[0].strip("`") for row in columns] == [*Row.__dataclass_fields__]
    kinds = [[f'"{name}"', text] for name, text in KINDS.items()]
    failures = list(simple_table(ledger.__doc__ or ""))
    parts = [
        HEAD.replace("{example}", example),
        "## Columns\n",
        table(["column", "type", "meaning"], columns),
        "\n## Kinds\n",
        table(["kind", "what the message carried"], kinds),
        "\n## Failures\n",
        'A message that failed leaves a row of kind "control" with the reason in `error`.\n',
        table(failures[0], failures[1:]),
    ]
    return "\n".join(parts) + "\n"


def parameters(doc: str) -> Iterator[tuple[str, str, str]]:
    """Read name, type and text of each entry under "Parameters" of a numpydoc docstring."""
    body = re.split(r"\n\w+\n-+\n", doc)[1].strip()
    for entry in re.split(r"\n(?=\S)", body):
        head, _, text = entry.partition("\n")
        names, _, kind = head.partition(" : ")
        for name in names.split(", "):
            yield name, kind, " ".join(text.split()).replace("`", "")


def simple_table(doc: str) -> Iterator[list[str]]:
    """Read the rows of the first reStructuredText table between rulers of "="."""
    lines = doc.splitlines()
    rulers = [number for number, line in enumerate(lines) if line.startswith("===")]
    spans = [match.span() for match in re.finditer("=+", lines[rulers[0]])]
    for line in lines[rulers[0] + 1 : rulers[2]]:
        if not line.startswith("==="):
            yield [line[start:end].strip() for start, end in spans[:-1]] + [line[spans[-1][0] :].strip()]
