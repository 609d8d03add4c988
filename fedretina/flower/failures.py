"""Failures of messages: the reasons that the ledger and error replies give, and what to do about them."""

from collections.abc import Mapping

from flwr.app import Error, Message

from fedretina import __version__
from fedretina.errors import Corrupt, TooNew
from fedretina.flower import header

UNUSABLE_REPLY = 6
"""Code of the error reply that replaces a reply that cannot be used: Flower's ErrorCode.MOD_FAILED_PRECONDITION."""

REJECTED = "rejected by the grid"
LATE = "no reply in time"
EXPIRED = "no reply before its time to live ended"
NOT_DECODED = "the node could not decode"
REFUSED = "the node refused the message"
NEVER_ACKNOWLEDGED = (
    "this node has never acknowledged a model over DoM; check that dom_mod is the FIRST mod of its ClientApp: "
    "mods=[dom_mod, ...]"
)
OTHER_RELEASE = f"this server runs fedretina {__version__}: install the same version of fedretina on the node and the server"


def find_remedy(reason: str, *, acknowledged: bool) -> str:
    """Return what to do about a node's error reply to a coded message; "" if that is not known.

    Parameters
    ----------
    reason : str
        The reason of the error reply.
    acknowledged : bool
        Whether the node has ever answered a coded message with a DoM header.
    """
    if TooNew.__name__ in reason or "DoM header" in reason:
        return OTHER_RELEASE
    return "" if acknowledged else NEVER_ACKNOWLEDGED


def describe_missing(missing: Mapping[str, str]) -> str:
    """Return why a node asks for a message again.

    Parameters
    ----------
    missing : mapping of str to str
        Reasons by record name. The name is "" where the node refused the message as a whole.
    """
    if "" in missing:
        return f"{REFUSED}: {missing['']}"
    return f"{NOT_DECODED} {'; '.join(f'{name}: {why}' for name, why in missing.items())}"


def read_reply_header(reply: Message, node: int) -> header.UpHeader:
    """Return the header of a node's reply; an error names the node and the releases."""
    try:
        return header.UpHeader.from_record(reply.content.config_records[header.NAME])
    except (Corrupt, TooNew) as error:
        raise type(error)(f"the DoM header of node {node} cannot be read: {error}; {OTHER_RELEASE}") from error


def error_reply(reply: Message, code: int, reason: str) -> Message:
    """Return a reply with the same metadata, and an error in place of its content."""
    replaced = Message(Error(code, reason), reply_to=reply)
    replaced.__dict__["_metadata"] = reply.metadata
    return replaced
