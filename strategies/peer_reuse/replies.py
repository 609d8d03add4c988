"""Nodes' replies: failures, and metrics."""

from collections.abc import Iterable

from flwr.app import Message, MetricRecord

from fedretina.errors import FedRetinaError


def failure_of(reply: Message) -> str | None:
    """Give the reason why a node failed; None where it did not."""
    if reply.has_error():
        return reply.error.reason or f"error {reply.error.code}"
    record = reply.content.config_records.get("error")
    return str(record["text"]) if record is not None else None


def good_replies(replies: Iterable[Message]) -> list[Message]:
    """Take the replies; `FedRetinaError` with the reason if one of them failed."""
    good = list(replies)
    for reply in good:
        if (reason := failure_of(reply)) is not None:
            raise FedRetinaError(reason)
    return good


def numbers_of(record: MetricRecord) -> dict[str, float]:
    """Take the single numbers of a record."""
    return {key: float(value) for key, value in record.items() if isinstance(value, int | float)}


def metrics_of(replies: Iterable[Message], name: str) -> dict[str, float]:
    """Find the metrics of that name; `FedRetinaError` if no reply has them."""
    for reply in replies:
        if reply.has_content() and name in reply.content.metric_records:
            return numbers_of(reply.content.metric_records[name])
    raise FedRetinaError(f"no reply brought the metrics {name!r}")
