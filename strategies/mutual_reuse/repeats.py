"""What went wrong in a turn, as the journal keeps it: failures, and messages that had to be sent again."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from flwr.app import ConfigRecord, RecordDict

from fedretina.ledger import Row
from fedretina.strategies.mutual_reuse.turns import UNDECODED

SENT_AGAIN = "sent again"
"""What the ledger's row of such a message says."""
_FAILED, _REPEATS = "failed", "repeats"


@dataclass(frozen=True)
class Failure:
    """A turn that brought no version: why, and the bytes of the reply."""

    reason: str
    size: int


def failure_record(reason: str, size: int) -> RecordDict:
    """Make what takes the place of a reply that failed.

    Examples
    --------
    >>> read_failure(failure_record("no memory", 70))
    Failure(reason='no memory', size=70)
    """
    return RecordDict({_FAILED: ConfigRecord({"reason": reason, "bytes": size})})


def read_failure(content: RecordDict) -> Failure | None:
    """Return the failure that is in the place of a reply; None if it is a reply."""
    record = content.config_records.get(_FAILED)
    return None if record is None else Failure(str(record["reason"]), int(str(record["bytes"])))


def undecoded(reply: RecordDict) -> list[str]:
    """Return the streams that a domain could not decode."""
    streams = reply.config_records.get(UNDECODED, ConfigRecord()).get("streams", [])
    return [str(stream) for stream in streams] if isinstance(streams, list) else []


def with_repeats(content: RecordDict, resent: int, rows: Sequence[Row]) -> RecordDict:
    """Return a content with the bytes that were sent again and their rows; the content itself if there are none.

    Examples
    --------
    >>> take_repeats(with_repeats(RecordDict(), 5, []))
    (5, [])
    """
    if not resent and not rows:
        return content
    whole = RecordDict(dict(content.items()))
    whole[_REPEATS] = ConfigRecord({"resent": resent, "rows": json.dumps([asdict(row) for row in rows])})
    return whole


def take_repeats(content: RecordDict) -> tuple[int, list[Row]]:
    """Take out of a content what `with_repeats` has put into it."""
    record = content.config_records.get(_REPEATS)
    if record is None:
        return 0, []
    del content[_REPEATS]
    return int(str(record["resent"])), [Row(**row) for row in json.loads(str(record["rows"]))]
