"""Digits under strategies of Flower's by the real `flwr run`; a deployment over TLS."""

import json
from dataclasses import asdict

import pytest

from any_strategy import traffic
from fedretina.ledger import read

FOUR = "num-supernodes=4 client-resources-num-cpus=1"


def run(flower, out, *config, federation=FOUR):
    output = flower.run(*config, f"out='{out}'", app="any_strategy", federation=federation)
    return output, json.loads((out / "summary.json").read_text())


def deterministic(ledger):
    """Read what of a ledger follows from the seed: not times, nor Flower's numbers of nodes and the order of arrivals."""
    rows = [asdict(row) for row in read(ledger)]
    return sorted(str({k: v for k, v in row.items() if k not in ("node", "encode_s", "decode_s")}) for row in rows)


def test_the_run(flower, tmp_path):
    output, summary = run(flower, tmp_path / "run", "strategy='FedAdam'", "rounds=3")
    assert summary["status"] == "completed", output
    assert (summary["strategy"], summary["codec"], len(summary["rounds"])) == ("FedAdam", "dom", 3)
    assert 20 < summary["accuracy"] <= 100
    for direction in ("down", "up"):
        assert 0 < summary[f"wire_bytes_{direction}"] < summary[f"raw_bytes_{direction}"] / 4
        assert sum(entry[f"wire_bytes_{direction}"] for entry in summary["rounds"]) == summary[f"wire_bytes_{direction}"]
    for name in ("ledger.jsonl", "report.html", "config.json", "versions.json"):
        assert (tmp_path / "run" / name).exists(), name
    assert "mods=[dom_mod]" in output
    assert "grid=DomGrid(grid)" in output
    assert str(tmp_path / "run") in output


def test_a_refusal_ends_the_run_with_the_remedy(flower, tmp_path):
    output, summary = run(flower, tmp_path / "run", "strategy='FedAdam'", "feedback-down=true")
    assert summary["status"] == "failed"
    assert "leave feedback_down out" in summary["error"]
    assert "leave feedback_down out" in output


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["FedAvg", "FedAdam", "Krum"])
def test_eight_times_less_at_equal_accuracy_and_the_same_again_to_the_bit(flower, tmp_path, strategy):
    chosen = f"strategy='{strategy}'"
    _, plain = run(flower, tmp_path / "plain", chosen, "codec='none'")
    _, ours = run(flower, tmp_path / "dom", chosen)
    _, again = run(flower, tmp_path / "again", chosen)
    assert ours["accuracy"] > plain["accuracy"] - 1
    raw, wire = (sum(ours[f"{kind}_bytes_{direction}"] for direction in ("down", "up")) for kind in ("raw", "wire"))
    assert raw > 8 * wire
    assert plain["wire_bytes_up"] == plain["raw_bytes_up"] == pytest.approx(ours["raw_bytes_up"], rel=0.001)
    assert again == ours
    first, second = (tmp_path / name for name in ("dom", "again"))
    assert (first / "summary.json").read_bytes() == (second / "summary.json").read_bytes()
    assert deterministic(first / "ledger.jsonl") == deterministic(second / "ledger.jsonl")


@pytest.mark.slow
def test_the_ledger_agrees_with_the_superlink_over_tls(monkeypatch):
    monkeypatch.setattr(traffic, "ROUNDS", 2)
    found = traffic.measure()
    for case in traffic.CASES:
        for codec in traffic.CODECS:
            one = found[case][codec]
            assert one["errors"] == 0
            assert one["counted"] == pytest.approx(one["wire"], rel=0.01)
