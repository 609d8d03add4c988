"""Bars for long work: on stderr, and only where that is a terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

Advance = Callable[[int], object]


@contextmanager
def progress_bar(what: str, total: int | None = None) -> Iterator[Advance]:
    """Show that something is going on; what it yields is called with each part of `total` that is done.

    Without `total` the bar only moves: for work that does not say how far it is.
    """
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    # sys.stderr, not rich's own guess: that one also takes FORCE_COLOR for a terminal
    shown = sys.stderr.isatty()
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not shown) as progress:
        task = progress.add_task(printable(what).plain, total=total)
        yield lambda size: progress.advance(task, size)


def printable(text: str) -> Text:
    """Return text from a file as it can be shown: no markup, and control characters, which a terminal obeys, escaped."""
    shown = (letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)
    return Text("".join(shown), overflow="fold")
