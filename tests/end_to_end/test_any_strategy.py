"""Digits under strategies of Flower's by the real `flwr run`; a deployment over TLS."""

import json
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parent.parent.parent / "benchmarks" / "any_strategy"
FOUR = "num-supernodes=4 client-resources-num-cpus=1"


def run(flower, out, *config, federation=FOUR):
    told = flower.run(*config, f"out='{out}'", app="any_strategy", federation=federation)
    return told, json.loads((out / "summary.json").read_text())


def test_the_run(flower, tmp_path):
    told, summary = run(flower, tmp_path / "run", "strategy='FedAdam'", "rounds=3")
    assert summary["status"] == "completed", told
    assert (summary["strategy"], summary["codec"], len(summary["rounds"])) == ("FedAdam", "dom", 3)
    assert 20 < summary["accuracy"] <= 100
    for way in ("down", "up"):
        assert 0 < summary[f"wire_bytes_{way}"] < summary[f"raw_bytes_{way}"] / 4
        assert sum(entry[f"wire_bytes_{way}"] for entry in summary["rounds"]) == summary[f"wire_bytes_{way}"]
    for name in ("ledger.jsonl", "report.html", "config.json", "versions.json"):
        assert (tmp_path / "run" / name).exists(), name
    assert "mods=[dom_mod]" in told
    assert "grid=DomGrid(grid)" in told
    assert str(tmp_path / "run") in told


def test_a_refusal_ends_the_run_with_the_remedy(flower, tmp_path):
    told, summary = run(flower, tmp_path / "run", "strategy='FedAdam'", "feedback-down=true")
    assert summary["status"] == "failed"
    assert "leave feedback_down out" in summary["error"]
    assert "leave feedback_down out" in told


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["FedAvg", "FedAdam", "Krum"])
def test_eight_times_less_at_equal_accuracy_and_nearly_the_same_again(flower, tmp_path, strategy):
    chosen = f"strategy='{strategy}'"
    _, plain = run(flower, tmp_path / "plain", chosen, "codec='none'")
    _, ours = run(flower, tmp_path / "dom", chosen)
    _, again = run(flower, tmp_path / "again", chosen)
    assert ours["accuracy"] > plain["accuracy"] - 1
    raw, wire = (sum(ours[f"{kind}_bytes_{way}"] for way in ("down", "up")) for kind in ("raw", "wire"))
    assert raw > 8 * wire
    assert plain["wire_bytes_up"] == plain["raw_bytes_up"] == pytest.approx(ours["raw_bytes_up"], rel=0.001)
    # Flower numbers nodes anew in every run, and strategies add models in that order: sums differ in their last bits.
    assert again["accuracy"] == pytest.approx(ours["accuracy"], abs=1)
    assert sum(again[f"wire_bytes_{way}"] for way in ("down", "up")) == pytest.approx(wire, rel=0.02)


@pytest.mark.slow
def test_the_ledger_agrees_with_the_superlink_over_tls(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARK))
    import traffic  # noqa: PLC0415  # the benchmark's folder is on the path only here

    monkeypatch.setattr(traffic, "ROUNDS", 2)
    found = traffic.measure()
    for codec in ("dom", "none"):
        assert found[codec]["errors"] == 0
        assert traffic.counted(found[codec]) == pytest.approx(found[codec]["wire"], rel=0.01)
