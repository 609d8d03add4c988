"""Replies of domains: whether they can be believed, and what they say of a turn."""

import math
from collections.abc import Mapping
from typing import Any

from flwr.app import ConfigRecord, RecordDict

from fedretina.errors import Corrupt
from fedretina.strategies.mutual_reuse.turns import read_sketch
from fedretina.strategies.peer_reuse.replies import numbers_of
from fedretina.train import source_risks


def check_reply(domain: str, reply: RecordDict, metric: str) -> None:
    """Check that a reply has what the server reads of it.

    Raises
    ------
    Corrupt
        If it has not one model, of the domain, if a number is missing or not finite, or if a sketch cannot be read.
    """
    if set(reply.array_records) != {domain}:
        raise Corrupt(f"the reply has the models {sorted(reply.array_records)}, allowed is {domain!r}: it is dropped")
    metrics = {name: numbers_of(record) for name, record in reply.metric_records.items()}
    if strange := sorted({key for values in metrics.values() for key, value in values.items() if not math.isfinite(value)}):
        raise Corrupt(f"the reply has numbers that are not finite ({', '.join(strange)}): it is dropped")
    if min(metrics.get("size", {}).get(key, -1.0) for key in ("raw", "encode_s")) < 0:
        raise Corrupt("the reply does not say how large its model is, and how long coding took: it is dropped")
    made = [name for name in (f"{domain}/reuse", f"{domain}/home") if name in metrics]
    if len(made) != 1 or (metric and metric not in metrics[made[0]]):
        raise Corrupt(f"the reply does not have {metric or 'metrics'} of one training: it is dropped")
    read_sketch(reply)


def turn_facts(domain: str, chosen: Mapping[str, int], reply: RecordDict) -> dict[str, Any]:
    """Read what a checked reply says of its turn, as fields of `Turn`; `chosen` are the versions of the peers by name."""
    records = {name: numbers_of(record) for name, record in reply.metric_records.items()}
    values = records.get(f"{domain}/reuse") or records.get(f"{domain}/home", {})
    refused = reply.config_records.get(f"{domain}/refused", ConfigRecord())
    peers = {name.removeprefix("peer."): score for name, score in values.items() if name.startswith("peer.")}
    return {
        "metrics": {name: value for name, value in values.items() if "." not in name},
        "alpha": {name.removeprefix("alpha."): value for name, value in values.items() if name.startswith("alpha.")},
        "risks": source_risks({name: [score] for name, score in peers.items()}, "learned"),
        "scores": records.get(f"{domain}/logme", {}),
        "versions": chosen,
        "refused": {peer: str(why) for peer, why in refused.items() if peer in chosen},
    }
