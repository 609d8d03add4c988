"""What `fedretina city status` prints."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from fedretina.city import NodeStatus


def status_table(rows: Sequence["NodeStatus"]) -> Group:
    """Return a row for each node, and below them what each refused, and the packages that nodes run; equal ones once."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("node", "domains", "role", "Flower", "report"):
        table.add_column(name, overflow="fold", no_wrap=name != "domains")
    for name in ("version", "behind", "today", "refused"):
        table.add_column(name, justify="right", no_wrap=True)
    releases: dict[str, list[str]] = {}
    for row in rows:
        releases.setdefault(row.release or "unknown", []).append(row.node)
        table.add_row(*_cells(row))
    refused = [Text(f"{row.node} refused: {_attacks(row)}", style="red") for row in rows if row.attacks]
    packages = [Text(f"packages on {', '.join(nodes)}: {release}") for release, nodes in releases.items()]
    return Group(table, Text(), *refused, *packages)


def _attacks(row: "NodeStatus") -> str:
    return ", ".join(f"{name} {count}" for name, count in row.attacks.items())


def _cells(row: "NodeStatus") -> tuple[Text, ...]:
    refused = sum(row.attacks.values())
    cells = (
        row.node,
        ", ".join(row.domains) or "none",
        row.role,
        row.connection,
        "never" if row.last_report_s is None else f"{row.last_report_s:.0f} s ago",
        str(row.version) if row.version else "none",
        str(row.behind),
        decimal(row.bytes_today),
        str(refused),
    )
    return tuple(map(Text, cells))
