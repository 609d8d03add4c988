"""Models and payloads as Flower's records."""

from collections.abc import Mapping, Sequence

import numpy as np
from flwr.app import Array, ArrayRecord, RecordDict

from fedretina.dom import Model, check_model, is_float
from fedretina.errors import BadArgument, Corrupt
from fedretina.flower.lazy import NUMPY

# Flower's `Array.numpy` refuses what has another name than its own, and says which: so this is what a user reads whose
# ClientApp has no dom_mod, or has another mod in front of it.
STYPE = "fedretina.dom: put dom_mod first among the ClientApp's mods"


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
    except (TypeError, ValueError) as error:
        raise BadArgument(f"an array record does not hold NumPy arrays: {error}") from None


def read_model(record: ArrayRecord) -> dict[str, np.ndarray] | None:
    """Read a record's model; None where it holds none that DoM can carry, and travels as it is.

    No weights are: records without a float array (the trees of FedXgb are bytes), arrays that Flower did not serialise
    from NumPy, dtypes that the codec does not know, and whatever holds NaN or infinity.

    Examples
    --------
    >>> read_model(ArrayRecord({"0": Array(np.frombuffer(b"a tree", np.uint8))})) is None
    True
    """
    if not record or any(array.stype != NUMPY for array in record.values()):
        return None
    try:
        model = to_model(record)
        checked = check_model(model)
    except BadArgument:
        return None
    return model if any(is_float(array.dtype) for array in checked.values()) else None


def to_record(model: Model, order: Sequence[int] | None) -> ArrayRecord:
    """Make an ArrayRecord of a model, its arrays in the given order: the inverse of `to_model` and `order_of`.

    Raises
    ------
    Corrupt
        If the order is none of this model's arrays.
    """
    return ArrayRecord({name: Array(np.asarray(model[name])) for name in in_order(model, order)})


def in_order(model: Model, order: Sequence[int] | None) -> list[str]:
    """Give the names of a model's arrays in the order that `order_of` told; raises `Corrupt` if it is none of theirs."""
    names = sorted(model)
    if order is None:
        return names
    if sorted(order) != list(range(len(names))):
        raise Corrupt("the order of a model's arrays does not fit the model")
    return [names[i] for i in order]


def order_of(record: ArrayRecord) -> tuple[int, ...] | None:
    """Tell the order of a record's arrays: each one's place among the sorted names; None where they are sorted.

    A payload does not keep it, and code that takes a model for a list of arrays depends on it.

    Examples
    --------
    >>> order_of(ArrayRecord({name: Array(np.ones(1)) for name in ("w", "b", "n")}))
    (2, 0, 1)
    """
    places = {name: place for place, name in enumerate(sorted(record))}
    order = tuple(places[name] for name in record)
    return None if order == tuple(range(len(order))) else order


def pack(payloads: Sequence[bytes]) -> ArrayRecord:
    """Make a record of payloads; Flower's ``Array.numpy`` refuses them, so nobody takes them for weights by mistake."""
    return ArrayRecord({str(i): Array("uint8", (len(p),), STYPE, p) for i, p in enumerate(payloads)})


def unpack(record: ArrayRecord) -> list[bytes]:
    """Give the payloads of a packed record, in order."""
    if any(array.stype != STYPE for array in record.values()):
        raise Corrupt("an array record mixes DoM payloads with other arrays")
    try:
        return [record[str(i)].data for i in range(len(record))]
    except KeyError as error:
        raise Corrupt(f"an array record lacks its payload {error}") from None


def replaced(content: RecordDict, models: Mapping[str, ArrayRecord]) -> RecordDict:
    """Copy a content with other array records in it; the content itself is shared between messages and stays as it is."""
    copy = RecordDict({name: models.get(name, record) for name, record in content.items()})
    for name, record in models.items():
        if name not in copy:
            copy[name] = record
    return copy
