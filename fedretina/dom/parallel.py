"""Maps that use several threads: one with bounded memory, which yields results in order, and one that ends early."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from typing import TypeVar

from fedretina.errors import BadArgument

Item = TypeVar("Item")
Result = TypeVar("Result")

_MAX_THREADS = 8
_MIN_BATCH_BYTES = 2**18  # bytes that are worth a thread's while
PER_LIGHT_ITEM = 2**15  # bytes that take as long as what every tensor takes, however small
_LIGHT_BATCH_BYTES = 2**21  # the same, of light items that a thread gets together where the order is free
_MAX_PENDING_BYTES = 2**24  # bytes in work or done, and not yet delivered; more only if every thread has an item


def count_threads(requested: int | None) -> int:
    """Return how many threads to use: the number requested, else OMP_NUM_THREADS, else one a core, at most 8.

    Raises
    ------
    BadArgument
        If fewer than one is requested.
    """
    if requested is not None:
        if requested < 1:
            raise BadArgument(f"threads is {requested}; allowed: at least 1, or None for one a core")
        return requested
    configured = os.environ.get("OMP_NUM_THREADS", "")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(int(configured) if configured.isdecimal() else cores, _MAX_THREADS))


def ordered_map(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    threads: int,
    weigh: Callable[[Item], int] = lambda item: _MIN_BATCH_BYTES,
) -> Iterator[Result]:
    """Yield ``function(item)`` for each item, in order; NumPy, pcodec and BLAKE3 release the interpreter's lock.

    Neighbours that `weigh` little (say, in bytes) are given to a thread together: handing over costs more than they do.
    """
    if threads == 1:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(threads) as pool:
        pending: deque[tuple[int, Future[list[Result]]]] = deque()
        try:
            for batch in _batches(items, weigh):
                pending.append((sum(map(weigh, batch)), pool.submit(_each, function, batch)))
                while len(pending) > threads and sum(weight for weight, _ in pending) > _MAX_PENDING_BYTES:
                    yield from pending.popleft()[1].result()
            while pending:
                yield from pending.popleft()[1].result()
        finally:
            for _, future in pending:
                future.cancel()


def map_all(
    function: Callable[[Item], Result], items: Sequence[Item], *, threads: int, weigh: Callable[[Item], int]
) -> list[Result]:
    """Return ``function(item)`` for all items, in order; what weighs most is begun first, so that threads end together.

    Light items go to a thread together, and count as more than they weigh: they hold the interpreter's lock for most of
    their time, so they should run while other threads are within NumPy.
    """
    if threads == 1:
        return [*map(function, items)]
    heavy = [[place] for place, item in enumerate(items) if weigh(item) >= _MIN_BATCH_BYTES]
    light = (place for place, item in enumerate(items) if weigh(item) < _MIN_BATCH_BYTES)
    batches = [*heavy, *_batches(light, lambda place: weigh(items[place]) + PER_LIGHT_ITEM, least=_LIGHT_BATCH_BYTES)]
    batches.sort(key=lambda batch: sum(weigh(items[place]) + PER_LIGHT_ITEM for place in batch), reverse=True)
    with ThreadPoolExecutor(threads) as pool:
        found = pool.map(lambda batch: [function(items[place]) for place in batch], batches)
        by_place = dict(zip(chain.from_iterable(batches), chain.from_iterable(found), strict=True))
    return [by_place[place] for place in range(len(items))]


def _each(function: Callable[[Item], Result], batch: list[Item]) -> list[Result]:
    return [*map(function, batch)]


def _batches(items: Iterable[Item], weigh: Callable[[Item], int], *, least: int = _MIN_BATCH_BYTES) -> Iterator[list[Item]]:
    batch: list[Item] = []
    weight = 0
    for item in items:
        batch.append(item)
        weight += weigh(item)
        if weight >= least:
            yield batch
            batch, weight = [], 0
    if batch:
        yield batch
