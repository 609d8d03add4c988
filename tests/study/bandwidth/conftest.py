"""Made-up measurements: curves whose answers can be computed by hand."""

import pytest

from fedretina.study.bandwidth import Cell, Measured, NamedTask, Plan, RoundRow, Variant


def measurement(codec, scores, sent, *, task="toy", seed=0, lower=False, setting=None, seconds=1.0):
    """Return a cell whose rounds each send `sent` bytes up, and as many down."""
    rows = [RoundRow(n, sent * (n > 0), sent * (n > 0), s, seconds * (n > 0), 0.0) for n, s in enumerate(scores)]
    cell = Cell(NamedTask(task, lambda _: None), Variant.of(codec, setting or {}), Plan(rounds=len(scores) - 1), seed)
    return Measured(cell, "loss" if lower else "accuracy", lower, 1000, rows)


@pytest.fixture
def cells():
    """Uncompressed, ours at a fifth of the best peer's bytes, a peer at two settings, and one that never gets there."""
    return [
        measurement("none", [10, 80, 90, 100], 4000),
        measurement("dom", [10, 70, 99, 100], 20, setting={"relative_error": 0.9}),
        measurement("stc", [10, 50, 90, 99.5], 70, setting={"share": 0.04}),
        measurement("stc", [10, 20, 30, 99.5], 67, setting={"share": 0.01}),
        measurement("sign", [10, 20, 30, 40], 100),
    ]
