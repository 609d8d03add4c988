"""Messages that were sent and wait for their replies."""

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass

from flwr.app import Message, RecordDict


@dataclass
class SentMessage:
    """A message that waits for its reply.

    Parameters
    ----------
    message : Message or None
        A copy of the strategy's message, as it was at the push; None if it will not be sent again.
    node, round : int
        The node that received it, and the round.
    round_key : object
        Equal for messages of one round.
    expires_at : float
        When its time to live ends, in seconds since 1970.
    versions : mapping of str to str
        By stream: digest of the version that the node holds once it has decoded the message.
    coded : bool
        Whether it has a DoM header.
    first_id : str
        The identifier that the strategy knows. A message that is sent again gets another one from Flower.
    sends : int
        How often it was sent.
    late : bool
        Whether the ledger has the row `LATE` for it.
    """

    message: Message | None
    node: int
    round: int
    round_key: object
    expires_at: float
    versions: Mapping[str, str]
    coded: bool
    first_id: str = ""
    sends: int = 1
    late: bool = False


def copy_with_content(message: Message, content: RecordDict) -> Message:
    """Return a copy of a message, with all its metadata and another content."""
    copied = copy(message)
    copied.__dict__["_metadata"] = copy(message.metadata)
    copied.content = content
    return copied
