"""Flower's records from and to models and payloads."""

from collections.abc import Iterable, Mapping, Sequence

import ml_dtypes
import numpy as np
from flwr.app import Array, ArrayRecord, RecordDict

from fedretina.dom import Model, check_model, is_float
from fedretina.errors import BadArgument, Corrupt
from fedretina.flower.lazy import NUMPY

# The serialisation type of payload arrays. Flower's `Array.numpy` refuses unknown types and prints them. So a user reads
# this text if a ClientApp has no dom_mod, or has another mod before it.
STYPE = "fedretina.dom: put dom_mod first among the ClientApp's mods"


def to_model(record: ArrayRecord) -> dict[str, np.ndarray]:
    """Return the arrays of a record, by name.

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
        If an array is serialised in another way.

    Examples
    --------
    >>> to_model(ArrayRecord({"w": Array(np.ones(2, np.float32))}))
    {'w': array([1., 1.], dtype=float32)}
    """
    try:
        return {name: _read(array) for name, array in record.items()}
    except (TypeError, ValueError) as error:
        raise BadArgument(f"an ArrayRecord holds arrays that are not NumPy's ({error}); make it from NumPy arrays") from None


def _read(array: Array) -> np.ndarray:
    """Return an array; NumPy's files have no bfloat16, so Flower reads its bits without a type."""
    values = array.numpy()
    return values.view(ml_dtypes.bfloat16) if array.dtype == "bfloat16" and values.dtype.kind == "V" else values


def read_model(record: ArrayRecord) -> dict[str, np.ndarray] | None:
    """Return a record's model, or None if DoM cannot code it: then the record travels as it is.

    DoM cannot code records without a float array (the trees of FedXgb are bytes), arrays that Flower did not serialise from
    NumPy, dtypes that the codec does not know, and values that are NaN or infinite.

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
    """Return an ArrayRecord of a model, its arrays in the given order: the inverse of `to_model` and `order_of`.

    Raises
    ------
    Corrupt
        If the order does not fit the model's arrays.
    """
    return ArrayRecord({name: Array(np.asarray(model[name])) for name in names_in_order(model, order)})


def names_in_order(names: Iterable[str], order: Sequence[int] | None) -> list[str]:
    """Return the names of a model's arrays in an order that `order_of` returned; `Corrupt` if it does not fit the names."""
    ordered = sorted(names)
    if order is None:
        return ordered
    if sorted(order) != list(range(len(ordered))):
        raise Corrupt(f"the message's DoM header has an order that does not fit the {len(ordered)} arrays; send it again")
    return [ordered[i] for i in order]


def order_of(record: ArrayRecord) -> tuple[int, ...] | None:
    """Return the order of a record's arrays: each one's position among the sorted names; None if they are sorted.

    A payload does not keep the order. Code that reads a model as a list of arrays depends on it.

    Examples
    --------
    >>> order_of(ArrayRecord({name: Array(np.ones(1)) for name in ("w", "b", "n")}))
    (2, 0, 1)
    """
    positions = {name: position for position, name in enumerate(sorted(record))}
    order = tuple(positions[name] for name in record)
    return None if order == tuple(range(len(order))) else order


def pack(payloads: Sequence[bytes]) -> ArrayRecord:
    """Return a record of payloads; Flower's ``Array.numpy`` refuses them, so nobody reads them as weights by mistake."""
    return ArrayRecord({str(i): Array("uint8", (len(p),), STYPE, p) for i, p in enumerate(payloads)})


def unpack(record: ArrayRecord) -> list[bytes]:
    """Return the payloads of a record that `pack` made, in order; `Corrupt` if it holds other arrays."""
    if any(array.stype != STYPE for array in record.values()):
        raise Corrupt("an ArrayRecord mixes DoM payloads with other arrays; send the message again")
    try:
        return [record[str(i)].data for i in range(len(record))]
    except KeyError as error:
        raise Corrupt(f"an ArrayRecord lacks its payload {error}; send the message again") from None


def replace_records(content: RecordDict, models: Mapping[str, ArrayRecord]) -> RecordDict:
    """Return a copy of a content with other ArrayRecords in it; messages share the content itself, so it does not change."""
    copy = RecordDict({name: models.get(name, record) for name, record in content.items()})
    for name, record in models.items():
        if name not in copy:
            copy[name] = record
    return copy
