"""Models and payloads as Flower's records, and what a record weighs on the wire."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from flwr.app import Array, ArrayRecord, RecordDict

from fedretina.dom import Model
from fedretina.errors import BadArgument, Corrupt

STYPE = "fedretina.dom"


class Part(Protocol):
    """What Flower sends: an object that can be serialised, and those inside it."""

    @property
    def children(self) -> Mapping[str, "Part"] | None:
        """The objects inside, by identifier."""

    def deflate(self) -> bytes:
        """Serialise this object without those inside."""


def to_model(record: ArrayRecord) -> dict[str, np.ndarray]:
    """Read the arrays of a record, by name.

    Parameters
    ----------
    record : ArrayRecord
        As strategies and clients make them: every array serialised by Flower from NumPy.

    Returns
    -------
    dict of str to ndarray
        The same arrays; dtypes and shapes as they were.

    Raises
    ------
    BadArgument
        If an array is serialised in another way, and so cannot be read here.

    Examples
    --------
    >>> to_model(ArrayRecord({"w": Array(np.ones(2, np.float32))}))
    {'w': array([1., 1.], dtype=float32)}
    """
    try:
        return {name: array.numpy() for name, array in record.items()}
    except TypeError as error:
        raise BadArgument(f"an array record does not hold NumPy arrays: {error}") from None


def to_record(model: Model, order: Sequence[int]) -> ArrayRecord:
    """Make an ArrayRecord of a model, its arrays in the given order: the inverse of `to_model` and `order_of`.

    Raises
    ------
    Corrupt
        If the order is none of this model's arrays.
    """
    names = sorted(model)
    if sorted(order) != list(range(len(names))):
        raise Corrupt("the order of a model's arrays does not fit the model")
    return ArrayRecord({names[i]: Array(np.asarray(model[names[i]])) for i in order})


def order_of(record: ArrayRecord) -> list[int]:
    """Tell the order of a record's arrays: each one's place among the sorted names.

    A payload does not keep it, and code that takes a model for a list of arrays depends on it.

    Examples
    --------
    >>> order_of(ArrayRecord({name: Array(np.ones(1)) for name in ("w", "b", "n")}))
    [2, 0, 1]
    """
    places = {name: place for place, name in enumerate(sorted(record))}
    return [places[name] for name in record]


def pack(payloads: Sequence[bytes]) -> ArrayRecord:
    """Make a record of payloads; Flower's ``Array.numpy`` refuses them, so nobody takes them for weights by mistake."""
    return ArrayRecord({str(i): Array("uint8", (len(p),), STYPE, p) for i, p in enumerate(payloads)})


def unpack(record: ArrayRecord) -> list[bytes]:
    """Give the payloads of a packed record, in order."""
    if any(array.stype != STYPE for array in record.values()):
        raise Corrupt("an array record mixes DoM payloads with other arrays")
    return [record[str(i)].data for i in range(len(record))]


def replaced(content: RecordDict, models: Mapping[str, ArrayRecord]) -> RecordDict:
    """Copy a content with other array records in it; the content itself is shared between messages and stays as it is."""
    copy = RecordDict({name: record for name, record in content.items() if name not in models})
    for name, record in models.items():
        copy[name] = record
    return copy


def weight(part: Part) -> int:
    """Measure what a record puts on the wire, in bytes: the sum of Flower's serialised objects, heads included.

    The message's own metadata (random identifiers, times) is not in it, so equal contents weigh the same in every run.

    Examples
    --------
    >>> weight(RecordDict({"a": ArrayRecord({"w": Array(np.ones(1000, np.float32))})})) > 4000
    True
    """
    inside = (part.children or {}).values()
    return len(part.deflate()) + sum(weight(child) for child in inside)
