"""What the rows say: curves over bytes, the bytes to a goal, the best setting of each codec, the Pareto front."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from statistics import fmean

from fedretina.study.bandwidth.cells import OURS, Measured
from fedretina.study.bandwidth.sweep import Variant

REFERENCE = "none"
SHARE = 0.99
MBIT = 1e6 / 8


@dataclass(frozen=True)
class Line:
    """A codec at one setting on one task, over all seeds."""

    variant: Variant
    seeds: Sequence[Measured]

    @property
    def codec(self) -> str:
        """Name of the codec."""
        return self.variant.codec

    @property
    def is_ours(self) -> bool:
        """Whether it is of `fedretina.dom`."""
        return self.codec == OURS

    @property
    def name(self) -> str:
        """Codec and setting."""
        return f"{self.codec} {self.variant.label}".strip()

    @cached_property
    def curve(self) -> tuple[list[float], list[float]]:
        """Mean over seeds, after each round: bytes so far in both directions, and the score."""
        totals = [list(accumulate(row.bytes_up + row.bytes_down for row in one.rows)) for one in self.seeds]
        scores = [[row.score for row in one.rows] for one in self.seeds]
        return [fmean(at) for at in zip(*totals, strict=True)], [fmean(at) for at in zip(*scores, strict=True)]

    @property
    def last(self) -> float:
        """Mean score after the last round."""
        return self.curve[1][-1]

    @property
    def last_scores(self) -> list[float]:
        """Score after the last round, for each seed."""
        return [one.rows[-1].score for one in self.seeds]

    @property
    def bits_per_weight(self) -> float:
        """Mean bits of a weight in one update, over both directions and all rounds."""
        one = self.seeds[0]
        sent = 2 * one.cell.plan.clients * (len(one.rows) - 1) * one.weights
        return 8 * self.curve[0][-1] / sent


@dataclass(frozen=True)
class TaskResult:
    """All lines of one task, and the goal: 99 % of the last score without compression, of a loss 99 % of its fall."""

    name: str
    lines: Sequence[Line]

    @classmethod
    def of(cls, name: str, cells: Sequence[Measured]) -> "TaskResult":
        """Group the cells of a task by variant."""
        variants = dict.fromkeys(one.cell.variant for one in cells)
        return cls(name, [Line(v, [one for one in cells if one.cell.variant == v]) for v in variants])

    @property
    def seeds(self) -> set[int]:
        """All seeds of the lines."""
        return {one.cell.seed for line in self.lines for one in line.seeds}

    @property
    def metric(self) -> str:
        """Name of the score."""
        return self.lines[0].seeds[0].metric

    @property
    def lower_is_better(self) -> bool:
        """Whether the score is a loss."""
        return self.lines[0].seeds[0].lower_is_better

    @cached_property
    def reference(self) -> Line | None:
        """The line without compression, if it was run."""
        return next((line for line in self.lines if line.codec == REFERENCE), None)

    @cached_property
    def goals(self) -> Mapping[int, float]:
        """The score to reach, by seed; empty without a reference."""
        return {one.cell.seed: self._goal(one) for one in self.reference.seeds} if self.reference else {}

    @cached_property
    def best(self) -> list[Line]:
        """The best setting of each codec: the fewest bytes to the goal, among those that have it in the last round too.

        Where none has, among those that reach it; where none does, the best last score.
        """
        codecs = dict.fromkeys(line.codec for line in self.lines)
        return [min((line for line in self.lines if line.codec == codec), key=self._order) for codec in codecs]

    @property
    def pareto(self) -> list[Line]:
        """The lines that no other line beats in both: fewer bytes over all rounds, and a last score that is as good."""
        sign = -1 if self.lower_is_better else 1
        front: list[Line] = []
        for line in sorted(self.lines, key=lambda line: (line.curve[0][-1], -sign * line.last)):
            if not front or sign * line.last > sign * front[-1].last:
                front.append(line)
        return front

    def rounds_to_goal(self, line: Line) -> list[int] | None:
        """Return the first round that reaches the goal, for each seed; None if one does not."""
        found = [self._first(one) for one in line.seeds]
        rounds = [number for number in found if number is not None]
        return rounds if len(rounds) == len(line.seeds) else None

    def bytes_of_seeds(self, line: Line) -> list[int]:
        """Return the bytes in both directions until the goal, for each seed; empty if one does not reach it."""
        pairs = zip(line.seeds, self.rounds_to_goal(line) or [], strict=False)
        return [sum(row.bytes_up + row.bytes_down for row in one.rows[: number + 1]) for one, number in pairs]

    def bytes_to_goal(self, line: Line) -> float | None:
        """Return the mean bytes in both directions until the goal; None if a seed does not reach it."""
        found = self.bytes_of_seeds(line)
        return fmean(found) if found else None

    def seconds_to_goal(self, line: Line, mbit: float) -> float | None:
        """Return the mean seconds until the goal, where each client has a link of so many Mbit/s each way."""
        rounds = self.rounds_to_goal(line)
        if rounds is None:
            return None
        pairs = zip(line.seeds, rounds, strict=True)
        return fmean(sum(_seconds(one, mbit, index) for index in range(1, number + 1)) for one, number in pairs)

    def seeds_at_goal(self, line: Line) -> int:
        """Return how many seeds reach the goal."""
        return sum(self._first(one) is not None for one in line.seeds)

    def _goal(self, one: Measured) -> float:
        first, last = one.rows[0].score, one.rows[-1].score
        return first - SHARE * (first - last) if self.lower_is_better else SHARE * last

    def _first(self, one: Measured) -> int | None:
        goal, sign = self.goals.get(one.cell.seed), -1 if self.lower_is_better else 1
        if goal is None:
            return None
        return next((row.round for row in one.rows if sign * row.score >= sign * goal), None)

    def _order(self, line: Line) -> tuple[bool, bool, float]:
        needed = self.bytes_to_goal(line)
        if needed is None:
            return (True, True, line.last if self.lower_is_better else -line.last)
        return (False, not all(map(self._holds, line.seeds)), needed)

    def _holds(self, one: Measured) -> bool:
        """Tell whether the last round still has the goal."""
        sign = -1 if self.lower_is_better else 1
        return sign * one.rows[-1].score >= sign * self.goals[one.cell.seed]


def _seconds(one: Measured, mbit: float, index: int) -> float:
    """Return the seconds of a round: the slowest client and the server work, then a client's share travels up and down."""
    row, clients = one.rows[index], one.cell.plan.clients
    return row.client_seconds + row.server_seconds + (row.bytes_up + row.bytes_down) / clients / (mbit * MBIT)


def chosen(trials: Sequence[TaskResult]) -> dict[str, list[Variant]]:
    """Return the best setting of each codec, by the task's name."""
    return {task.name: [line.variant for line in task.best] for task in trials}


def results(cells: Sequence[Measured]) -> list[TaskResult]:
    """Group cells by task, in their order."""
    names = dict.fromkeys(one.cell.task.name for one in cells)
    return [TaskResult.of(name, [one for one in cells if one.cell.task.name == name]) for name in names]
