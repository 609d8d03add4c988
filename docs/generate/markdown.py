"""Tables in Markdown."""

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    r"""Write a table; a bar inside a cell is escaped.

    Examples
    --------
    >>> print(table(["key", "allowed"], [["`codec`", "dom | none"]]))
    | key | allowed |
    |---|---|
    | `codec` | dom \| none |
    """
    lines = [head, ["---"] * len(head), *([cell.replace("|", r"\|") for cell in row] for row in rows)]
    return "\n".join(_line(cells) for cells in lines)


def _line(cells: Sequence[str]) -> str:
    between = "|" if cells[0] == "---" else " | "
    return between.join(cells).join(["|", "|"] if between == "|" else ["| ", " |"])
