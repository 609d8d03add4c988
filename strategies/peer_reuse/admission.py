"""Admission of peers' models at a target: finite, and no larger a change than the peer's own history makes likely.

A version that is refused is replaced by the last one that was admitted. So one bad peer ends no run, and whoever takes a
peer over cannot replace its model at once. A model that was bad from its first version on has no history. Then its score on
the target's labels counts, which gives it a small weight in alpha and in the committee.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from fedretina.atomic import replacing
from fedretina.errors import BadArgument, Corrupt, translate_errors

Arrays = Mapping[str, np.ndarray]
_Changes = tuple[float, ...]


@dataclass(frozen=True)
class AdmissionLimits:
    """How much a peer's model may change from one version to the next.

    The change is the norm of the difference, relative to the norm of the version before. Only weights with two or more
    dimensions count: the others are few, and running statistics are measured anew on the target.

    Parameters
    ----------
    change : float, default 1.2
        The largest change. A model with all signs flipped has 2, a random one of the same norm 1.4.
    growth : float, default 4
        The largest change, relative to the mean of the peer's changes so far; it counts from the third version on.

    Raises
    ------
    BadArgument
        If a limit is not positive.

    Examples
    --------
    >>> AdmissionLimits().fault({"w": np.ones((2, 2))}, {"w": -np.ones((2, 2))}, changes=[])
    'it changed by 2.00 of its norm, allowed is 1.20'
    """

    change: float = 1.2
    growth: float = 4.0

    def __post_init__(self) -> None:
        if not (self.change > 0 and self.growth > 0):
            raise BadArgument(f"limits of admission are {self.change:g} and {self.growth:g}: give positive numbers")

    def fault(self, last: Arrays, new: Arrays, changes: Sequence[float]) -> str:
        """Say why a version is refused; empty if it is admitted. `changes` are those of the versions before."""
        if last.keys() != new.keys() or any(last[name].shape != new[name].shape for name in new):
            return ""  # another network; whether the task knows it is asked when the model is made
        change, limit = _relative_change(last, new), self.change
        if changes:
            limit = min(limit, self.growth * sum(changes) / len(changes))
        return f"it changed by {change:.2f} of its norm, allowed is {limit:.2f}" if change > limit else ""


@dataclass(frozen=True)
class _History:
    """The last admitted version of a source, its round, and the changes between the versions so far."""

    last: Arrays = field(default_factory=dict)
    round: int = 0
    changes: _Changes = ()

    def with_version(self, new: Arrays, round_number: int) -> "_History":
        """Add a version. One that is sent again, or of a round that is repeated, is no change."""
        change = _relative_change(self.last, new) if self.last.keys() == new.keys() else 0.0
        changes = (*self.changes, change) if change and round_number > self.round else self.changes
        return _History(new, round_number, changes)


class Admission:
    """Admits the models of a target's peers; the last admitted versions and their changes are on disk.

    Parameters
    ----------
    folder : Path
        The target's folder in the run.
    limits : AdmissionLimits
        The limits.
    """

    def __init__(self, folder: Path, limits: AdmissionLimits) -> None:
        self.folder, self.limits = folder / "admitted", limits

    def admit(
        self, weights: Mapping[str, Arrays], round_number: int, *, needed: bool = True
    ) -> tuple[dict[str, Arrays], dict[str, str]]:
        """Choose what the target uses of each peer.

        Parameters
        ----------
        weights : mapping of str to mapping of str to ndarray
            The new versions, by source.
        round_number : int
            The round. A round that is repeated adds no change to the history.
        needed : bool, default True
            Whether it is an error if no source is left.

        Returns
        -------
        dict of str to mapping
            By source, the new version or the last admitted one. A source without either is missing.
        dict of str to str
            Why new versions were refused, by source.

        Raises
        ------
        BadArgument
            If no source is left, and one is needed.
        Corrupt
            If a file of the history is damaged.
        """
        used, refused = dict[str, Arrays](), dict[str, str]()
        for source, new in weights.items():
            history = self._read(source)
            refused[source] = _not_finite(new) or (
                self.limits.fault(history.last, new, history.changes) if history.last else ""
            )
            if not refused[source]:
                used[source] = new
                self._write(source, history.with_version(new, round_number))
            elif history.last:
                used[source] = history.last
        refused = {source: why for source, why in refused.items() if why}
        if needed and not used:
            raise BadArgument(
                f"no peer's model is admitted: {'; '.join(f'{name}: {why}' for name, why in refused.items())}; mend the "
                "peers, or leave them out of the sources"
            )
        return used, refused

    def _file(self, source: str) -> Path:
        return self.folder / f"{source}.safetensors"

    def _read(self, source: str) -> _History:
        file = self._file(source)
        if not file.exists():
            return _History()
        with translate_errors(Corrupt, f"the history {file} cannot be read", "remove it; its peer is then judged anew"):
            with safe_open(file, framework="numpy") as found:
                facts = json.loads(found.metadata()["history"])
                last = {name: found.get_tensor(name) for name in found.keys()}  # noqa: SIM118  # it is no dict
            return _History(last, int(facts["round"]), tuple(float(change) for change in facts["changes"]))

    def _write(self, source: str, history: _History) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        facts = json.dumps({"round": history.round, "changes": history.changes})
        with replacing(self._file(source), private=True) as fresh:
            save_file({name: storable(array) for name, array in history.last.items()}, fresh, metadata={"history": facts})


def storable(array: np.ndarray) -> np.ndarray:
    """Return a contiguous copy; bfloat16 becomes float32, with the same values."""
    return np.array(array, np.float32 if array.dtype.name == "bfloat16" else array.dtype, order="C")


def _not_finite(arrays: Arrays) -> str:
    broken = [name for name, array in arrays.items() if array.dtype.kind == "f" and not np.isfinite(array).all()]
    return f"it has NaN or infinite values in {broken[0]}" if broken else ""


def _relative_change(last: Arrays, new: Arrays) -> float:
    weights = [name for name, array in new.items() if array.dtype.kind == "f" and array.ndim > 1]
    before = sum(float(np.square(last[name], dtype=np.float64).sum()) for name in weights)
    with np.errstate(over="ignore"):
        moved = sum(float(np.square(new[name].astype(np.float64) - last[name]).sum()) for name in weights)
    return math.sqrt(moved / before) if before else 0.0
