"""The schedule of co-training: at which epochs bodies are averaged, and which source trains for which target.

It is a pure function of the configuration, the sizes of the domains, and the risks of the sources and the target. So it can
be printed before the training, and a resumed run continues with the same one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fedretina.train.training import Training

Weights = Mapping[str, float]


@dataclass(frozen=True)
class Segment:
    """Epochs between two averages.

    Parameters
    ----------
    first, last : int
        The first epoch, from 0, and the end of the range, which is excluded.
    turns : mapping of str to tuple of str
        By target: the sources that train for it in these epochs.
    """

    first: int
    last: int
    turns: Mapping[str, tuple[str, ...]]

    def __str__(self) -> str:
        """Write one line of the schedule."""
        turns = "; ".join(f"{target} with {', '.join(names) or 'no source'}" for target, names in self.turns.items())
        return f"epochs {self.first + 1} to {self.last}: {turns}"


def segment_spans(training: Training, *, average_every: int, alone_last: int) -> list[tuple[int, int]]:
    """List the epochs between two averages. The end of a round also averages, since the target publishes a version then.

    Parameters
    ----------
    training : Training
        The rounds, and the epochs of each.
    average_every : int
        Epochs between two averages.
    alone_last : int
        The last epochs, in which the target trains alone.

    Examples
    --------
    >>> segment_spans(Training(rounds=3, local_epochs=5), average_every=3, alone_last=4)
    [(0, 3), (3, 5), (5, 8), (8, 10), (10, 11)]
    """
    end, epochs = training.epochs - alone_last, training.local_epochs
    starts = (start + offset for start in range(0, end, epochs) for offset in range(0, epochs, average_every))
    return [(start, min(start + average_every, (start // epochs + 1) * epochs, end)) for start in starts if start < end]


def make_schedule(spans: Sequence[tuple[int, int]], weights: Mapping[str, Weights], *, in_turn: bool) -> list[Segment]:
    """Choose the sources of each segment.

    In turn, a target gets one source, and a source serves one target. A target's next source is the one that is furthest
    behind its share of the turns. Targets with fewer sources choose first, and equals take turns in that; one that finds no
    free source trains alone.

    Parameters
    ----------
    spans : sequence of (int, int)
        See `segment_spans`.
    weights : mapping of str to mapping of str to float
        By target and source, see `TurnSources.weights`.
    in_turn : bool
        False: all sources of a target train in every segment.

    Examples
    --------
    >>> weights = {"duke": {"msmt17": 4000.0, "cuhk03": 2000.0}}
    >>> for segment in make_schedule([(0, 5), (5, 10), (10, 15)], weights, in_turn=True):
    ...     print(segment)
    epochs 1 to 5: duke with msmt17
    epochs 6 to 10: duke with cuhk03
    epochs 11 to 15: duke with msmt17
    """
    if not in_turn:
        return [Segment(*span, {target: tuple(sources) for target, sources in weights.items()}) for span in spans]
    counts = {target: dict.fromkeys(sources, 0) for target, sources in weights.items()}
    schedule = []
    for index, span in enumerate(spans):
        free, chosen = {source for sources in weights.values() for source in sources}, dict[str, tuple[str, ...]]()
        # Whoever has the fewest sources chooses first, or others could take its only one; equals take turns in that.
        order = _rotated([target for target in weights if weights[target]], index)
        chosen.update(dict.fromkeys(weights, ()))
        for target in sorted(order, key=lambda target: len(weights[target])):
            source = _furthest_behind(weights[target], counts[target], free)
            chosen[target] = () if source is None else (source,)
            if source is not None:
                counts[target][source] += 1
                free.remove(source)
        schedule.append(Segment(*span, {target: chosen[target] for target in weights}))
    return schedule


def _furthest_behind(weights: Weights, counts: Mapping[str, int], free: set[str]) -> str | None:
    """Name the free source that is furthest behind its share of the turns; of equals, the first."""
    turns, total = sum(counts.values()) + 1, sum(weights.values())
    names = [source for source in weights if source in free]
    return max(names, key=lambda source: turns * weights[source] / total - counts[source], default=None)


def _rotated(names: list[str], by: int) -> list[str]:
    start = by % max(1, len(names))
    return names[start:] + names[:start]
