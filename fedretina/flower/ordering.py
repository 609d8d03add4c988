"""The order in which a strategy gets replies: it follows from what they carry, not from who sent them or who was first.

Flower numbers the nodes of a simulation at random, and strategies add models one after the other, so in the order of
numbers or arrivals two equal runs would differ in the last bits of their sums, and soon in more.
"""

from blake3 import blake3
from flwr.app import ArrayRecord, Message

from fedretina.dom import digest
from fedretina.flower.lazy import source_of
from fedretina.flower.records import read_model


def sort_key(reply: Message) -> tuple[bool, str, str]:
    """Give what to sort a reply by: failures come last, then models decide by their digests, then all other records.

    Parameters
    ----------
    reply : Message
        As the strategy sees it. Of a lazy model only the digest is read, nothing is decoded.

    Returns
    -------
    tuple
        Equal for replies that carry the same, and only for those: in which order they come makes no difference.
    """
    if reply.has_error():
        return True, "", f"{reply.error.code} {reply.error.reason}"
    models = reply.content.array_records
    digests = [(digest_of(record), name) for name, record in sorted(models.items())]
    rest = [(name, sorted(record.items())) for name, record in sorted(reply.content.items()) if name not in models]
    return False, repr(digests), repr(rest)


def digest_of(record: ArrayRecord) -> str:
    """Name what is in a record: a model by its version's digest, also where it came uncoded; else by a hash of the arrays.

    Examples
    --------
    >>> import numpy as np
    >>> from flwr.app import Array
    >>> one, same, other = (ArrayRecord({"w": Array(np.array(values))}) for values in ([1.0], [1.0], [2.0]))
    >>> digest_of(one) == digest_of(same), digest_of(one) == digest_of(other)
    (True, False)
    """
    source = source_of(record)
    if source is not None:
        return source.digest
    model = read_model(record)
    if model is not None:
        return digest(model)
    told = blake3()
    for name, array in record.items():
        told.update(repr((name, array.dtype, array.shape, array.stype, len(array.data))).encode())
        told.update(array.data)
    return told.hexdigest()
