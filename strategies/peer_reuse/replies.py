"""Nodes' replies: failures, models and results."""

import json
import logging
from collections.abc import Collection, Iterable
from typing import Any

from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord

from fedretina.errors import FedRetinaError
from fedretina.strategies.peer_reuse.results import BASELINES, TargetResult

_log = logging.getLogger("fedretina.strategies")


def failure_of(reply: Message) -> str | None:
    """Return the reason why a node failed; None if it did not fail."""
    if reply.has_error():
        return reply.error.reason or f"error {reply.error.code}"
    record = reply.content.config_records.get("error")
    return str(record.get("text", "the node gave no reason")) if record is not None else None


def error_record(text: str) -> ConfigRecord:
    """Make a record of why something failed; a file's name may hold half characters, which no message can carry."""
    return ConfigRecord({"text": text.encode("utf-8", "backslashreplace").decode()})


def lost_turn(domain: str) -> str:
    """Name the record in which a source says why it could not train from a shared body."""
    return f"{domain}/lost-turn"


def good_replies(replies: Iterable[Message]) -> list[Message]:
    """List the replies; `FedRetinaError` with the reason if one of them failed."""
    good = list(replies)
    for reply in good:
        if (reason := failure_of(reply)) is not None:
            raise FedRetinaError(reason)
    return good


def numbers_of(record: MetricRecord) -> dict[str, float]:
    """Return the single numbers of a record."""
    return {key: float(value) for key, value in record.items() if isinstance(value, int | float)}


def metrics_of(replies: Iterable[Message], name: str) -> dict[str, float]:
    """Find the metrics of that name; `FedRetinaError` if no reply has them."""
    for reply in replies:
        if reply.has_content() and name in reply.content.metric_records:
            return numbers_of(reply.content.metric_records[name])
    raise FedRetinaError(f"no reply brought the metrics {name!r}; see the errors above, then resume the run")


def refusals_of(replies: Iterable[Message], target: str) -> dict[str, str]:
    """Return why a target refused new versions of its sources, by source."""
    records = [reply.content.config_records.get(f"{target}/refused") for reply in replies if reply.has_content()]
    return {source: str(why) for record in records if record is not None for source, why in record.items()}


def models_of(reply: Message, streams: Collection[str]) -> dict[str, ArrayRecord]:
    """Return the models of a reply. Streams that the node was not asked for are left out, with a warning."""
    found = dict(reply.content.array_records.items())
    if others := sorted(found.keys() - set(streams)):
        node = reply.metadata.src_node_id
        _log.warning("node %d published %s: ignored, it was asked for %s", node, others, sorted(streams))
    return {stream: record for stream, record in found.items() if stream in streams}


def read_results(reply: Message, target: str, result: TargetResult) -> None:
    """Put what a reply says of a target's baselines, and of its last model, into its result."""
    for name in BASELINES:
        if (record := reply.content.metric_records.get(f"{target}/{name}")) is not None:
            result.baselines[name] = numbers_of(record)
    result.showcase = _showcase_of(reply, target) or result.showcase
    result.finetuned = _text_of(reply, "finetune", target) or result.finetuned


def _text_of(reply: Message, name: str, target: str) -> str:
    record = reply.content.config_records.get(name)
    return str(record.get(target, "")) if record is not None else ""


def _showcase_of(reply: Message, target: str) -> list[dict[str, Any]]:
    """Read a target's examples; those that are no list of JSON objects are left out, with a warning."""
    text = _text_of(reply, "showcase", target)
    try:
        shown = json.loads(text) if text else []
    except (ValueError, RecursionError):
        shown = None
    if isinstance(shown, list) and all(isinstance(entry, dict) for entry in shown):
        return shown
    _log.warning("the showcase of %s is left out: it is no list of JSON objects", target)
    return []
