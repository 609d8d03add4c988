"""The generated pages of docs/reference, and the guide whose commands are run."""

from collections.abc import Callable
from pathlib import Path

from generate import command, configuration, dom_files, ledger

DOCS = Path(__file__).parents[1]
PAGES: dict[Path, Callable[[], str]] = {
    DOCS / "reference" / "configuration.md": configuration.page,
    DOCS / "reference" / "ledger.md": ledger.page,
    DOCS / "reference" / "command.md": command.page,
    dom_files.PAGE: dom_files.page,
}


def write_all() -> None:
    """Write all pages; print the path of each page that changed."""
    for path, page in PAGES.items():
        text = page()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(path)
