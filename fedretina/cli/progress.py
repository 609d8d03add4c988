"""Progress bars: on stderr, and only if that is a terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

Advance = Callable[[int], object]


@contextmanager
def progress_bar(title: str, total: int | None = None) -> Iterator[Advance]:
    """Show a progress bar; yield a function that is called with each part of `total` that is done.

    Without `total` the bar shows only that the work goes on.
    """
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    # sys.stderr, not rich's own guess: that one also takes FORCE_COLOR for a terminal
    shown = sys.stderr.isatty()
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not shown) as progress:
        task = progress.add_task(printable(title).plain, total=total)
        yield lambda size: progress.advance(task, size)


def printable(text: str) -> Text:
    """Return text from a file for a terminal: without markup, and with control characters escaped."""
    shown = (letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)
    return Text("".join(shown), overflow="fold")
