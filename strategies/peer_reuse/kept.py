"""What a node keeps of a learner between rounds, so that it goes on from there, and a round can be done again."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Kept:
    """The states of one learner on the node's disk, one for each round that it took part in.

    A domain that was late or gone in a round goes on from the newest state that there is.

    Parameters
    ----------
    folder : Path
        The learner's own.
    round : int
        The round that is being done, from 1.

    Examples
    --------
    >>> Kept(Path("/nowhere"), 3).last
    0
    """

    folder: Path
    round: int

    @property
    def last(self) -> int:
        """The newest round before this one of which a state is there; 0 if there is none."""
        return max((number for number in self._numbers() if number < self.round), default=0)

    def file(self, number: int) -> Path:
        """Name the file of a round's state."""
        return self.folder / f"round-{number}.pt"

    def forget(self) -> None:
        """Remove what is older than `last`: from that one this round could be done again."""
        last = self.last
        for number in self._numbers():
            if number < last:
                self.file(number).unlink(missing_ok=True)

    def _numbers(self) -> list[int]:
        return [int(file.stem.removeprefix("round-")) for file in self.folder.glob("round-*.pt")]
