"""Damage to models on their way."""

from flwr.app import Array, ArrayRecord, RecordDict


def damaged(content: RecordDict) -> RecordDict:
    """Copy a message's content, with one bit flipped in each model.

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
    >>> damaged(content)["arrays"] == content["arrays"]
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
            {key: Array(a.dtype, a.shape, a.stype, bytes(data) if key == first else a.data) for key, a in record.items()}
        )
    return copy
