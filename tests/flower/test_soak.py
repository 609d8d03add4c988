"""The soak of the benchmark: no desync, no wrong aggregate, whatever goes wrong, and however often the server restarts."""

import importlib.util
import logging
from pathlib import Path

import pytest

from fedretina.flower import grid
from grids import FAULTS

SOAK = Path(__file__).parent.parent.parent / "benchmarks" / "any_strategy" / "soak.py"


@pytest.fixture
def soak(monkeypatch):
    monkeypatch.setattr(grid, "time", grid.time)  # the soak replaces it
    spec = importlib.util.spec_from_file_location("soak", SOAK)
    module = importlib.util.module_from_spec(spec)
    level = logging.getLogger("flwr").level
    spec.loader.exec_module(module)
    yield module
    logging.getLogger("flwr").setLevel(level)


@pytest.mark.parametrize("rounds", [12, pytest.param(50, marks=pytest.mark.slow)])
def test_soak(soak, rounds):
    found = soak.measure(rounds)
    assert (found["desyncs"], found["wrong aggregates"]) == (0, 0)
    assert found["aggregates"] == rounds
    assert set(found["injected"]) == set(FAULTS)
    assert found["sent again within the round"] > rounds / 2
    assert found["server restarts"] == (rounds - 1) // 10
