"""The order in which a strategy gets replies: by their contents, not by sender or time of arrival.

Flower numbers the nodes of a simulation at random, and strategies add models one after the other. In the order of numbers or
arrivals, the sums of two equal runs would differ in their last bits, and the difference would grow.
"""

from blake3 import blake3
from flwr.app import ArrayRecord, Message

from fedretina.dom import digest
from fedretina.flower.lazy import source_of
from fedretina.flower.records import read_model


def sort_key(reply: Message) -> tuple[bool, str, str]:
    """Return the sort key of a reply: failures are last; then the digests of models decide, then all other records.

    Parameters
    ----------
    reply : Message
        As the strategy sees it. A lazy model is not decoded: its digest is known.

    Returns
    -------
    tuple
        Equal only for replies with equal contents; their order makes no difference.
    """
    if reply.has_error():
        return True, "", f"{reply.error.code} {reply.error.reason}"
    models = reply.content.array_records
    digests = [(digest_of(record), name) for name, record in sorted(models.items())]
    rest = [(name, sorted(record.items())) for name, record in sorted(reply.content.items()) if name not in models]
    return False, repr(digests), repr(rest)


def digest_of(record: ArrayRecord) -> str:
    """Return a digest of a record: the version's digest if it holds a model, coded or not; else a hash of the arrays.

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
    hashed = blake3()
    for name, array in record.items():
        hashed.update(repr((name, array.dtype, array.shape, array.stype, len(array.data))).encode())
        hashed.update(array.data)
    return hashed.hexdigest()
