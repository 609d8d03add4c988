"""The pages of the documentation, and what stands in them."""

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
README = ROOT / "README.md"
INDEX = DOCS / "index.md"
GUIDES = sorted((DOCS / "guides").glob("*.md"))
REFERENCE = sorted((DOCS / "reference").glob("*.md"))
RESULTS = sorted((DOCS / "results").rglob("*.md"))
PAGES = [README, INDEX, *GUIDES, *REFERENCE, *RESULTS, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
_BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


class Block(NamedTuple):
    """A fenced block: its language and its lines, without the indent of the fence."""

    language: str
    text: str


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path, *languages: str) -> list[Block]:
    found = [(len(indent), Block(language, body)) for indent, language, body in _BLOCK.findall(read(page))]
    return [
        Block(block.language, "".join(line[indent:] if line.strip() else "\n" for line in block.text.splitlines(True)))
        for indent, block in found
        if block.language in languages
    ]


def prose(page: Path) -> str:
    """Return the page without its fenced blocks."""
    return _BLOCK.sub("", read(page))


def links(page: Path) -> list[str]:
    """List the relative targets of a page's links and pictures."""
    return [target for target in _LINK.findall(prose(page)) if "://" not in target]
