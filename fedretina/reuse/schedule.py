"""When reuse pulls on the target: V learns first."""

from dataclasses import dataclass

from fedretina.errors import BadArgument


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How gamma grows: 0 while V alone learns, then in a straight line to 1, its whole, and at the end down again if wished.

    Parameters
    ----------
    warm_up : int, default 0
        Steps in which V learns and the target feels nothing.
    ramp : int, default 0
        Steps in which the pull grows.
    end : int, optional
        Step from which there is no pull any more; default: never.

    Raises
    ------
    BadArgument
        A number is negative, or the end comes before the ramp is over.

    Examples
    --------
    >>> schedule = Schedule(warm_up=2, ramp=4, end=8)
    >>> [schedule.pull(step) for step in range(10)]
    [0.0, 0.0, 0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 0.0, 0.0]
    """

    warm_up: int = 0
    ramp: int = 0
    end: int | None = None

    def __post_init__(self) -> None:
        if self.warm_up < 0 or self.ramp < 0:
            raise BadArgument(f"warm_up = {self.warm_up}, ramp = {self.ramp}: integers of 0 or more are allowed")
        if self.end is not None and self.end < self.warm_up + self.ramp:
            raise BadArgument(f"end = {self.end}: it must not come before warm_up + ramp = {self.warm_up + self.ramp}")

    def pull(self, step: int) -> float:
        """Give the part of gamma that the target feels at a step, from 0 to 1."""
        if self.end is not None and step >= self.end:
            return 0.0
        if not self.ramp:
            return float(step >= self.warm_up)
        return min(1.0, max(0.0, (step + 1 - self.warm_up) / self.ramp))
