"""What the pages share: their template, and the table of bars."""

import os
import platform
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from codec.bars import Bar
from fedretina.study import table


def render(folder: Path, *packages: str, **values: Any) -> str:
    """Return a folder's page.md.j2 with these values; `about` has the releases of packages, the machine and its cores."""
    # Markdown, not HTML: nothing is to be escaped.
    environment = Environment(loader=FileSystemLoader(folder), undefined=StrictUndefined, keep_trailing_newline=True)
    about = {name: metadata.version(name) for name in packages} | {"machine": platform.machine(), "cores": os.cpu_count()}
    return environment.get_template("page.md.j2").render(about=about, **values).rstrip() + "\n"


def bar_table(bars: Iterable[Bar]) -> str:
    """Write bars as a table."""
    rows = [[bar.what, bar.vector, bar.bar, bar.value, "yes" if bar.met else "**no**"] for bar in bars]
    return table(["what", "vector", "bar", "measured", "met"], rows)
