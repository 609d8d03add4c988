"""Ours against the best peer on a task: how many times fewer bytes to the goal, and whether the bars are met."""

from dataclasses import dataclass

from fedretina.report import size
from fedretina.study.bandwidth.frontier import REFERENCE, Line, TaskResult

HALF, HUNDRED = 2.0, 100.0
_NONE = "none reaches the goal with all seeds"


@dataclass(frozen=True)
class Verdict:
    """Ours against the best peer on one task; a factor is None where one of the two does not reach the goal."""

    task: TaskResult
    ours: Line | None
    peer: Line | None
    plain: float | None

    @classmethod
    def of(cls, task: TaskResult) -> "Verdict":
        """Compare the chosen settings of a task."""
        best = [line for line in task.best if task.bytes_to_goal(line) is not None]
        ours = [line for line in best if line.is_ours]
        peers = [line for line in best if not line.is_ours and line.codec != REFERENCE]
        return cls(
            task, _least(task, ours), _least(task, peers), task.bytes_to_goal(task.reference) if task.reference else None
        )

    @property
    def over_peer(self) -> float | None:
        """How many times the bytes of ours the best peer needs."""
        ours, peer = (self.task.bytes_to_goal(line) if line else None for line in (self.ours, self.peer))
        return peer / ours if ours and peer else None

    @property
    def over_plain(self) -> float | None:
        """How many times the bytes of ours uncompressed averaging needs."""
        ours = self.task.bytes_to_goal(self.ours) if self.ours else None
        return self.plain / ours if ours and self.plain else None

    @property
    def is_met(self) -> bool | None:
        """Whether ours needs at most half the bytes of the best peer; None if neither reaches the goal."""
        if self.ours is None:
            return None if self.peer is None else False
        return self.over_peer is None or self.over_peer >= HALF

    def row(self) -> list[str]:
        """Return the row of the page's first table."""
        met = {None: "nobody reaches the goal", True: "met", False: "**not met**"}[self.is_met]
        pair = (self.task.name, *self._named(self.ours), *self._named(self.peer))
        return [*pair, _times(self.over_peer), met, _times(self.over_plain)]

    def _named(self, line: Line | None) -> tuple[str, str]:
        return (line.name, size(self.task.bytes_to_goal(line) or 0)) if line else (_NONE, "")


VERDICT_HEAD = ("task", "ours", "bytes", "best peer", "bytes", "peer / ours", "bar of 2", "plain / ours")


def hundred(verdicts: list[Verdict]) -> str:
    """Say how many times fewer bytes than uncompressed averaging ours needs at best, and whether that is the bar's 100."""
    factors = {v.task.name: v.over_plain for v in verdicts if v.over_plain}
    if not factors:
        return "No task has a factor over uncompressed averaging."
    name = max(factors, key=lambda task: factors[task])
    met = "is met" if factors[name] >= HUNDRED else "is **not met**"
    return f"Largest factor over uncompressed averaging: {factors[name]:.0f} on {name}; the bar of {HUNDRED:g} {met}."


def _least(task: TaskResult, lines: list[Line]) -> Line | None:
    return min(lines, key=lambda line: task.bytes_to_goal(line) or 0, default=None)


def _times(factor: float | None) -> str:
    return f"{factor:.{0 if factor >= 10 else 1}f}" if factor else ""
