"""Checkpoints of a learner on the node's disk: training continues from them, and a round can be repeated."""

import re
from dataclasses import dataclass
from pathlib import Path

_NAME = re.compile(r"round-(\d{1,9})\.pt", re.ASCII)


@dataclass(frozen=True)
class Checkpoints:
    """The saved states of one learner, one per round in which it trained.

    A domain that missed a round continues from its newest state.

    Parameters
    ----------
    folder : Path
        The learner's own folder.
    round : int
        The current round, from 1.

    Examples
    --------
    >>> Checkpoints(Path("/nowhere"), 3).last
    0
    """

    folder: Path
    round: int

    @property
    def last(self) -> int:
        """The newest earlier round that has a state; 0 if there is none."""
        return max((number for number in self._numbers() if number < self.round), default=0)

    def file(self, number: int) -> Path:
        """Give the path of a round's state."""
        return self.folder / f"round-{number}.pt"

    def remove_old(self) -> None:
        """Remove the states before `last`. The state of `last` stays, so that this round can be repeated."""
        last = self.last
        for number in self._numbers():
            if number < last:
                self.file(number).unlink(missing_ok=True)

    def _numbers(self) -> list[int]:
        names = (_NAME.fullmatch(file.name) for file in self.folder.glob("round-*.pt"))
        return [int(name[1]) for name in names if name]
