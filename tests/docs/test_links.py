"""Every relative link resolves, and every page is reachable from the index."""

import re

import pytest

from pages import DOCS, INDEX, PAGES, README, ROOT, links, name_of, prose, read


def headings(page):
    """List the anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_resolve(page):
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{name_of(page)} links to {link}, which is missing"
        assert target.is_relative_to(ROOT), f"{name_of(page)} links out of the repository: {link}"
        assert not anchor or anchor in headings(target), f"{name_of(page)} links to {link}: no such heading"


def test_there_are_links():
    assert len(links(README)) > 20
    assert len(links(INDEX)) > 20


def test_every_page_is_reachable_from_the_index():
    reached, todo = set(), [INDEX]
    while todo:
        page = todo.pop()
        reached.add(page)
        targets = [(page.parent / link.partition("#")[0]).resolve() for link in links(page)]
        todo += [target for target in targets if target.suffix == ".md" and target not in reached]
    assert set(DOCS.rglob("*.md")) <= reached


def test_the_website_lists_every_page():
    listed = re.findall(r"^ +- (\S+\.md)$", read(ROOT / "mkdocs.yml"), re.MULTILINE)
    assert sorted(listed) == sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))


def test_every_picture_is_shown():
    shown = {(page.parent / link).resolve() for page in PAGES for link in links(page)}
    assert {*DOCS.rglob("*.png"), *DOCS.rglob("*.svg")} <= shown


def test_a_link_to_docs_comes_within_two_screens():
    lines = read(README).splitlines()
    assert next(number for number, line in enumerate(lines) if "](docs/guides/" in line) < 80
