"""The soak of the benchmark: no desync, no wrong aggregate, whatever goes wrong, and however often the server restarts."""

import numpy as np
import pytest

from any_strategy import soak
from fedretina.flower.sources import ReplySource
from fedretina.testing import FAULTS


@pytest.mark.parametrize("rounds", [12, pytest.param(50, marks=pytest.mark.slow)])
def test_soak(rounds):
    found = soak.measure(rounds)
    assert found["server restarts"] == (rounds - 1) // 10
    for coding in soak.CODINGS:
        one = found[coding]
        assert (one["desyncs"], one[soak.MEAN], one["aggregates"]) == (0, 0, rounds)
        assert set(one["injected"]) == set(FAULTS)
        assert one["sent again within the round"] > rounds / 2
    assert (found["lossless"][soak.PLAIN], found["lossless"][soak.ERROR]) == (0, 0)
    assert 0.1 < found["by default"][soak.ERROR] < 0.25 * 1.42  # a power of two is the step


def test_a_wrong_aggregate_is_found(monkeypatch):
    right = ReplySource.array

    def wrong(self, name):
        return right(self, name) * np.float32(1.0001)

    monkeypatch.setattr(ReplySource, "array", wrong)
    found = soak.measure(2)
    assert [found[coding][soak.MEAN] for coding in soak.CODINGS] == [2, 2]
