"""Sizes of messages and records on the wire: the bytes that a SuperLink counts between itself and its SuperNodes.

Flower splits a message into objects. It sends an envelope first: the message's metadata, and the name (SHA-256 in hex) of
every object. Then it sends the objects one by one, each serialised with a head. A reply's objects are named twice, since the
SuperLink answers which of them it lacks. Metadata hold random numbers, whose length varies by a byte. They are counted at
their full length, so equal contents have the same size in every run.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Literal, Protocol

import numpy as np
from flwr.app import Array, ArrayRecord, Message, RecordDict

from fedretina.dom import Model
from fedretina.flower.lazy import TensorSpec

Direction = Literal["down", "up"]
NAME_BYTES: dict[Direction, int] = {"down": 68, "up": 68 + 66}
"""An object's name with its tags, in bytes: in the tree of objects, and up also in the SuperLink's answer."""
ENVELOPE_BYTES: dict[Direction, int] = {"down": 367, "up": 689}
"""The message's own object, its metadata and both calls, in bytes."""
_CONTENT_NAME_BYTES = 60  # the message's own object names its content; an error reply has none
_MAX_EQUAL_BYTES = 2**16  # larger arrays are taken for different: trained weights of this size are never equal


class FlowerObject(Protocol):
    """One of Flower's objects: it can be serialised, and may have objects inside."""

    @property
    def children(self) -> Mapping[str, "FlowerObject"] | None:
        """The objects inside, by identifier."""

    def deflate(self) -> bytes:
        """Serialise this object without those inside."""


def wire_size(record: FlowerObject, direction: Direction) -> int:
    """Return the size of a record on the wire, in bytes: it and the objects in it, serialised, with heads and names.

    Examples
    --------
    >>> record = ArrayRecord({"w": Array(np.ones(1000, np.float32))})
    >>> 4000 < wire_size(record, "down") < wire_size(record, "up") < 5500
    True
    """
    inside = (record.children or {}).values()
    return NAME_BYTES[direction] + len(record.deflate()) + sum(wire_size(child, direction) for child in inside)


def message_size(content: RecordDict, direction: Direction) -> int:
    """Return the size of a message with that content on the wire, in bytes.

    Examples
    --------
    >>> message_size(RecordDict(), "up") > ENVELOPE_BYTES["up"]
    True
    """
    return ENVELOPE_BYTES[direction] + wire_size(content, direction)


def error_size(reply: Message) -> int:
    """Return the size of a node's error reply on the wire, in bytes; the error is in the call and in the object.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> reply = SimpleNamespace(error=SimpleNamespace(reason="a text of 21 bytes: é"))
    >>> ENVELOPE_BYTES["up"] - error_size(reply)
    16
    """
    return ENVELOPE_BYTES["up"] - _CONTENT_NAME_BYTES + 2 * len((reply.error.reason or "").encode())


def model_size(model: Model) -> int:
    """Return the size of a model as a reply's ArrayRecord without serialising it: what plain Flower would have sent.

    Flower sends objects by their content, so arrays that are equal count once.

    Parameters
    ----------
    model : mapping of str to ndarray
        In any order: it makes no difference.

    Returns
    -------
    int
        Bytes; the same as ``wire_size(record, "up")``.

    Examples
    --------
    >>> model = {"w": np.arange(1000.0), "b": np.zeros(9), "c": np.zeros(9)}
    >>> model_size(model) == wire_size(ArrayRecord({name: Array(array) for name, array in model.items()}), "up")
    True
    """
    contents = {name: array.tobytes() if array.nbytes <= _MAX_EQUAL_BYTES else name for name, array in model.items()}
    return _record_size(model, contents, "up")


def undecoded_size(specs: Mapping[str, TensorSpec], direction: Direction) -> int:
    """Return the size of an ArrayRecord whose values nobody has decoded, in bytes.

    Which arrays are equal is not known. Integers without dimensions count as equal, as counters of batches are; all other
    arrays count as different.

    Parameters
    ----------
    specs : mapping of str to TensorSpec
        Dtype and shape of each tensor.
    direction : {"down", "up"}
        Server to node, or node to server.

    Examples
    --------
    >>> model = {"w": np.arange(9.0), "n1.num_batches_tracked": np.array(4), "n2.num_batches_tracked": np.array(4)}
    >>> undecoded_size(model, "up") == model_size(model)
    True
    """
    contents = {name: "" if spec.shape == () and spec.dtype.kind in "iu" else name for name, spec in specs.items()}
    return _record_size(specs, contents, direction)


def _record_size(specs: Mapping[str, TensorSpec], contents: Mapping[str, object], direction: Direction) -> int:
    """Return a record's size from its tensors' dtypes and shapes; arrays of equal `contents` are equal."""
    numbers: dict[tuple[str, tuple[int, ...], object], int] = {}
    rows = []
    for name, spec in specs.items():
        row = str(spec.dtype), spec.shape
        rows.append((name, *row, numbers.setdefault((*row, contents[name]), len(numbers))))
    return _size_of_rows(tuple(rows), direction)


@lru_cache(maxsize=64)
def _size_of_rows(rows: tuple[tuple[str, str, tuple[int, ...], int], ...], direction: Direction) -> int:
    """Measure a record of random arrays of the rows' dtypes and shapes; arrays of one number are equal."""
    record = ArrayRecord()
    for name, dtype, shape, number in rows:
        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        data = np.random.default_rng(number).bytes(size)
        record[name] = Array(np.frombuffer(data, np.dtype(dtype)).reshape(shape))
    return wire_size(record, direction)
