"""Sentences are short, and a page begins with what its reader can do."""

import re

import pytest

from generate.pages import PAGES as GENERATED
from pages import DOCS, GUIDES, INDEX, README, REFERENCE, ROOT, name_of, prose, read

WRITTEN = [page for page in [README, INDEX, *GUIDES, *REFERENCE, ROOT / "CONTRIBUTING.md"] if page not in GENERATED]
WRITTEN.append(DOCS / "guides" / "dom-files.md")
MOST_WORDS = 25


def sentences(text):
    """Split prose into sentences: paragraphs, list entries and table cells end them too."""
    for part in re.split(r"\n\s*\n|\n(?=\s*(?:[-*]|\d+\.) )|\n(?=[#|])", text):
        line = re.sub(r"\]\([^)]*\)", "]", " ".join(part.split()))
        for cell in re.split(r"(?<!\\)\|", line) if line.startswith("|") else [line]:
            yield from re.split(r"(?<=[.!?:;])\**\s+(?=[A-Z`\"*\[(])", cell)


def words(sentence):
    return [word for word in re.findall(r"`[^`]*`|[^\s`]+", sentence) if re.search(r"\w", word)]


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_sentences_are_short(page):
    long = [sentence for sentence in sentences(prose(page)) if len(words(sentence)) > MOST_WORDS]
    assert not long, f"more than {MOST_WORDS} words"


def test_a_long_sentence_is_found():
    text = "Short.\n\n- " + "word " * 26 + "\n\n| a | " + "word " * 26 + " |\n"
    assert [len(words(sentence)) > MOST_WORDS for sentence in sentences(text)].count(True) == 2


@pytest.mark.parametrize("page", [INDEX, *GUIDES, *REFERENCE], ids=name_of)
def test_a_page_begins_with_what_the_reader_can_do(page):
    title, _, rest = read(page).partition("\n\n")
    assert title.startswith("# ")
    assert rest.startswith("After this page ")
