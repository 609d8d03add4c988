"""Compare the records that one side sent with those that the other side received."""

from collections.abc import Callable
from itertools import zip_longest
from typing import Any

import numpy as np

from apps.app import Array
from apps.observe import Key, Notes, Records

Found = dict[str, Any]


class Comparison:
    """Counts arrays and other records that had to arrive bit for bit, and those that did not.

    Parameters
    ----------
    is_exact : callable
        Tells of an array record, as "up train/gradients", whether it must arrive bit for bit.
    """

    def __init__(self, is_exact: Callable[[str], bool]) -> None:
        self._is_exact = is_exact
        self.exact, self.lossy = 0, 0  # arrays and records compared
        self.differing: dict[str, int] = {}
        self.retyped: dict[str, int] = {}
        self.first_error = 0.0  # relative, the largest of an array of a first model
        self.error = 0.0  # relative, the largest of an array that may be lossy
        self.error_at = ""
        self._first: Records = {}

    def found(self) -> Found:
        """Give everything as JSON."""
        keys = ("exact", "lossy", "differing", "retyped", "error", "error_at", "first_error")
        return {key: getattr(self, key) for key in keys}

    def compare(self, server: Notes, client: Notes) -> "Comparison":
        """Compare all messages of a run, in both directions."""
        self._first = server.first
        for key in sorted(server.gave.keys() | client.got.keys()):
            self._messages("down", key, server.gave.get(key, []), client.got.get(key, []))
        for key in sorted(server.got.keys() | client.gave.keys()):
            answers = client.gave.get(key, [])
            received = server.got.get(key, [])
            self._messages("up", key, answers if received else [], received)  # nobody may have asked for the replies
        return self

    def _messages(self, direction: str, key: Key, gave: list[Records], got: list[Records]) -> None:
        kind = f"{direction} {key[1]}"
        for sent, received in zip_longest(gave, got):
            if sent is None or received is None:
                self._differs(f"{kind}: message {'missing' if received is None else 'added'}")
                continue
            for name in sent.keys() ^ received.keys():
                self._differs(f"{kind}/{name}: record {'added' if name in received else 'missing'}")
            for name in sent.keys() & received.keys():
                self._record(f"{kind}/{name}", sent[name], received[name])

    def _record(self, place: str, sent: dict[str, Any], received: dict[str, Any]) -> None:
        arrays = [value for value in sent.values() if isinstance(value, np.ndarray)]
        if len(arrays) != len(sent) or not sent:
            self.exact += 1
            if repr(sorted(sent.items())) != repr(sorted(received.items())):
                self._differs(place)
        elif list(sent) != list(received):
            self._differs(f"{place}: names or their order")
        elif [array.shape for array in arrays] != [array.shape for array in received.values()]:
            self._differs(f"{place}: shapes")
        else:
            self._arrays(place, sent, received)

    def _arrays(self, place: str, sent: dict[str, Array], received: dict[str, Array]) -> None:
        must = self._is_exact(place)
        for name, array in sent.items():
            other = received[name]
            if not must and array.dtype != other.dtype:
                self.retyped[place] = self.retyped.get(place, 0) + 1
            if must or array.dtype.kind not in "fc":  # counters in a model are no matter of rounding
                self.exact += 1
                if not _same(array, other, dtypes=must):
                    self._differs(place)
            else:
                self.lossy += 1
                self._lossy(place, name, array, other)

    def _lossy(self, place: str, name: str, array: Array, other: Array) -> None:
        error = relative_error(array, other)
        if error > self.error:
            self.error, self.error_at = error, f"{place}: {name}"
        direction, record = place.partition(" ")[0], place.rpartition("/")[2]
        first = self._first.get(record, {}).get(name)
        if direction == "down" and first is not None and _same(array, first, dtypes=True):
            self.first_error = max(self.first_error, error)

    def _differs(self, place: str) -> None:
        self.differing[place] = self.differing.get(place, 0) + 1


def relative_error(array: Array, other: Array) -> float:
    """Compute the norm of the change divided by the norm of the sent array; infinity if it is not a number.

    Examples
    --------
    >>> relative_error(np.array([3.0, 4.0]), np.array([3.0, 4.5]))
    0.1
    """
    sent = array.astype(np.float64)
    norm, change = _norm(sent), _norm(other.astype(np.float64) - sent)
    error = change / norm if norm else float(change > 0)
    return error if np.isfinite(error) else float("inf")


def _norm(array: Array) -> float:
    """Measure an array whose squares may be too small, or too large, for a float."""
    peak = float(np.abs(array).max(initial=0))
    return peak * float(np.sqrt(np.square(array / peak).sum())) if 0 < peak < np.inf else peak


def _same(array: Array, other: Array, *, dtypes: bool) -> bool:
    if dtypes or array.dtype == other.dtype:
        return array.dtype == other.dtype and array.tobytes() == other.tobytes()
    return bool(np.array_equal(array, other))
