"""Replies of nodes are not trusted: damaged results are left out, and none reaches another target."""

import json
from types import SimpleNamespace

import pytest
from flwr.app import ConfigRecord, MetricRecord, RecordDict

from fedretina.strategies.peer_reuse import TargetResult
from fedretina.strategies.peer_reuse.replies import read_results


def reply(**records):
    return SimpleNamespace(content=RecordDict(records))


def test_the_results_of_a_target_are_read():
    result = TargetResult()
    shown = {"duke": json.dumps([{"query": 1}]), "yard": json.dumps([{"query": 2}])}
    records = {
        "duke/alone": MetricRecord({"mAP": 30.0}),
        "yard/alone": MetricRecord({"mAP": 20.0}),
        "duke/other": MetricRecord({"mAP": 10.0}),
        "showcase": ConfigRecord(shown),
        "finetune": ConfigRecord({"duke": "msmt17"}),
    }
    read_results(reply(**records), "duke", result)
    assert result == TargetResult([], {"alone": {"mAP": 30.0}}, "msmt17", [{"query": 1}])


@pytest.mark.parametrize("text", ["{", "3", "[3]", "{}", "[" * 100_000])
def test_a_damaged_showcase_is_left_out(text, caplog):
    result = TargetResult()
    read_results(reply(showcase=ConfigRecord({"duke": text})), "duke", result)
    assert result.showcase == []
    assert "the showcase of duke is left out" in caplog.text
