"""What messages and their records weigh on the wire: the bytes that a SuperLink counts between itself and its SuperNodes.

For a message Flower moves its objects one by one, each serialised with a head, and before them an envelope: the message's
metadata and the name (SHA-256 in hex) of every object. A reply's objects are named twice, since the SuperLink answers which
of them it lacks. Metadata hold random numbers, whose length varies by a byte; they are counted at their full length, so
equal contents weigh the same in every run.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal, Protocol

import numpy as np
from flwr.app import Array, ArrayRecord, Message, RecordDict

from fedretina.dom import Model

Way = Literal["down", "up"]
NAMED: dict[Way, int] = {"down": 68, "up": 68 + 66}  # an object's name with its tags: in the tree; up also in the answer
AROUND: dict[Way, int] = {"down": 367, "up": 689}  # the message's own object, its metadata, both calls
_NAME_OF_CONTENT = 60  # the message's own object names its content; an error reply has none
_SMALL = 2**16  # equal arrays up to this size are looked for: larger ones that are equal are no trained weights


class Part(Protocol):
    """What Flower sends: an object that can be serialised, and those inside it."""

    @property
    def children(self) -> Mapping[str, "Part"] | None:
        """The objects inside, by identifier."""

    def deflate(self) -> bytes:
        """Serialise this object without those inside."""


def weight(part: Part, way: Way) -> int:
    """Measure what a record puts on the wire, in bytes: it and the objects in it, serialised, with heads and names.

    Examples
    --------
    >>> record = ArrayRecord({"w": Array(np.ones(1000, np.float32))})
    >>> 4000 < weight(record, "down") < weight(record, "up") < 5500
    True
    """
    inside = (part.children or {}).values()
    return NAMED[way] + len(part.deflate()) + sum(weight(child, way) for child in inside)


def weight_of_message(content: RecordDict, way: Way) -> int:
    """Measure what a message with that content puts on the wire, in bytes.

    Examples
    --------
    >>> weight_of_message(RecordDict(), "up") > AROUND["up"]
    True
    """
    return AROUND[way] + weight(content, way)


def weight_of_error(reply: Message) -> int:
    """Measure what a node's error reply puts on the wire, in bytes: the error travels in the call and in the object.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> reply = SimpleNamespace(error=SimpleNamespace(reason="a text of 21 bytes: é"))
    >>> AROUND["up"] - weight_of_error(reply)
    16
    """
    return AROUND["up"] - _NAME_OF_CONTENT + 2 * len((reply.error.reason or "").encode())


def weight_of_model(model: Model) -> int:
    """Tell what a model would weigh as a reply's ArrayRecord, without serialising it: what plain Flower would have sent.

    Flower sends objects by their content, so arrays that are equal count once.

    Parameters
    ----------
    model : mapping of str to ndarray
        In any order: it makes no difference.

    Returns
    -------
    int
        Bytes; the same as `weight` of the record, up.

    Examples
    --------
    >>> model = {"w": np.arange(1000.0), "b": np.zeros(9), "c": np.zeros(9)}
    >>> weight_of_model(model) == weight(ArrayRecord({name: Array(array) for name, array in model.items()}), "up")
    True
    """
    seen: dict[tuple[Any, ...], int] = {}
    rows = []
    for name, array in model.items():
        same: object = array.tobytes() if array.nbytes <= _SMALL else name
        rows.append((name, str(array.dtype), array.shape, seen.setdefault((str(array.dtype), array.shape, same), len(seen))))
    return _weight_of_rows(tuple(rows))


@lru_cache(maxsize=64)
def _weight_of_rows(rows: tuple[tuple[str, str, tuple[int, ...], int], ...]) -> int:
    """Weigh a record of stand-ins: arrays of the same dtypes and shapes, as equal and as different as the rows say."""
    record = ArrayRecord()
    for name, dtype, shape, number in rows:
        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        data = np.random.default_rng(number).bytes(size)
        record[name] = Array(np.frombuffer(data, np.dtype(dtype)).reshape(shape))
    return weight(record, "up")
