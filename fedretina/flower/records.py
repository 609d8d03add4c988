"""Models and payloads as Flower's records, and what a record weighs on the wire."""

from collections.abc import Mapping, Sequence

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict

from fedretina.dom import Model
from fedretina.errors import BadArgument, Corrupt

STYPE = "fedretina.dom"


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


def to_record(model: Model) -> ArrayRecord:
    """Make an ArrayRecord of a model: the inverse of `to_model`."""
    return ArrayRecord({name: Array(np.asarray(array)) for name, array in model.items()})


def pack(payloads: Sequence[bytes]) -> ArrayRecord:
    """Make a record of payloads; Flower's ``Array.numpy`` refuses them, so nobody takes them for weights by mistake."""
    return ArrayRecord({str(i): Array("uint8", (len(p),), STYPE, p) for i, p in enumerate(payloads)})


def is_packed(record: ArrayRecord) -> bool:
    """Tell whether a record holds payloads (an empty one does not)."""
    return len(record) > 0 and all(array.stype == STYPE for array in record.values())


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


def weight(part: ArrayRecord | ConfigRecord | RecordDict | Array) -> int:
    """Measure what a record puts on the wire, in bytes: the sum of Flower's serialised objects, heads included.

    The message's own metadata (random identifiers, times) is not in it, so equal contents weigh the same in every run.

    Examples
    --------
    >>> weight(RecordDict({"a": ArrayRecord({"w": Array(np.ones(1000, np.float32))})})) > 4000
    True
    """
    return len(part.deflate()) + sum(weight(child) for child in (part.children or {}).values())
