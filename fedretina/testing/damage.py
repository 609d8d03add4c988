"""Damage to the models of a message."""

from flwr.app import Array, ArrayRecord, RecordDict


def flip_bits(content: RecordDict) -> RecordDict:
    """Return a copy of a message's content, with one bit flipped in each model.

    Parameters
    ----------
    content : RecordDict
        Any content; it is not changed.

    Returns
    -------
    RecordDict
        The bit is in the middle of the first array of each ArrayRecord. Other records are the same objects.

    Examples
    --------
    >>> import numpy as np
    >>> content = RecordDict({"arrays": ArrayRecord([np.zeros(3, np.uint8)])})
    >>> flip_bits(content)["arrays"] == content["arrays"]
    False
    """
    copy = RecordDict(dict(content.items()))
    for name, record in content.array_records.items():
        first = next(iter(record), None)
        if first is None:
            continue
        data = bytearray(record[first].data)
        data[len(data) // 2] ^= 1
        copy[name] = ArrayRecord(
            {
                key: Array(array.dtype, array.shape, array.stype, bytes(data) if key == first else array.data)
                for key, array in record.items()
            }
        )
    return copy
