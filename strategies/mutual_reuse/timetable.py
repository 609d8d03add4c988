"""The order of a simulated city's events: turns start and end in simulated time, whenever their replies really come."""

import heapq
from dataclasses import dataclass, field
from typing import Literal

Event = tuple[Literal["start", "end"], float, int]
"""What happens, at which second, to the domain at which position."""


@dataclass
class Timetable:
    """Events in the order of simulated time, for turns that are computed in any order.

    When a turn ends is known only when its reply has come; before that, a bound is known. `next` returns an event only if no
    running turn can end before it. So equal seeds give equal orders, whatever machine computes the turns.

    Examples
    --------
    >>> table = Timetable()
    >>> table.plan(0, 1.0), table.plan(1, 9.0)
    (None, None)
    >>> table.next()
    ('start', 1.0, 0)
    >>> table.run(0, earliest_end=5.0)
    >>> print(table.next())  # the turn of 0 may end before that of 1 starts
    None
    >>> table.finish(0, 6.0)
    >>> table.next(), table.next()
    (('end', 6.0, 0), ('start', 9.0, 1))
    """

    _starts: list[tuple[float, int]] = field(default_factory=list)
    _running: dict[int, float] = field(default_factory=dict)
    _ends: list[tuple[float, int]] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        """Whether nothing is planned, runs or waits for its end."""
        return not (self._starts or self._running or self._ends)

    def plan(self, domain: int, start: float) -> None:
        """Plan a turn."""
        heapq.heappush(self._starts, (start, domain))

    def run(self, domain: int, *, earliest_end: float) -> None:
        """Note that a turn is being computed, and when it ends at the earliest."""
        self._running[domain] = earliest_end

    def finish(self, domain: int, end: float) -> None:
        """Note when a turn ends: not before its earliest end."""
        assert end >= self._running.pop(domain)
        heapq.heappush(self._ends, (end, domain))

    def next(self) -> Event | None:
        """Return the next event, and take it out; None if a running turn may end before it."""
        horizon = min(((end, domain) for domain, end in self._running.items()), default=(float("inf"), 0))
        end = self._ends[0] if self._ends else None
        start = self._starts[0] if self._starts else None
        if end is not None and end < horizon and (start is None or end[0] <= start[0]):
            return ("end", *heapq.heappop(self._ends))
        if start is not None and start[0] < horizon[0] and (end is None or start[0] < end[0]):
            return ("start", *heapq.heappop(self._starts))
        return None
