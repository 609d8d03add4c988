"""Entropies, interpolation, and what is kept between runs."""

import numpy as np
import pytest

from codec.entropy import by_class, per_tensor
from codec.measure import Point
from codec.rates import at_error
from codec.results import Results
from codec.update import Update


def update(values: np.ndarray) -> Update:
    return Update("x", {"w": np.zeros_like(values)}, {"w": values})


def test_per_tensor_entropy_of_a_fair_coin_is_a_bit():
    values = np.tile(np.array([0, 1], np.float32), 5000).reshape(100, 100)
    assert per_tensor(update(values), 1.0) == pytest.approx(1)


def test_classes_see_what_one_table_does_not():
    rng = np.random.default_rng(0)
    spread = np.repeat([0.3, 10.0], 64)[:, None]  # two kinds of output channels
    found = update((spread * rng.normal(size=(128, 256))).astype(np.float32))
    assert by_class(found, 1.0) < 0.9 * per_tensor(found, 1.0)


def point(error: float, bpw: float) -> Point:
    return Point("x", "x", 0, bpw, error, 0.0, 0.0)


def test_a_curve_is_interpolated_over_octaves():
    curve = [point(0.4, 1.0), point(0.1, 3.0)]
    assert at_error(curve, 0.2) == pytest.approx(2)
    assert at_error(curve, 0.5) is None
    assert at_error([], 0.2) is None


def test_results_are_measured_again_when_code_or_vectors_change(tmp_path):
    (tmp_path / "v").mkdir()
    code = tmp_path / "code.py"
    code.write_text("one")
    results, calls = Results(tmp_path / "results", tmp_path), []

    def get() -> int:
        return results.get("a/b", lambda: calls.append(0) or len(calls), code=[code], vectors="v")

    assert (get(), get()) == (1, 1)
    code.write_text("two")
    assert (get(), get()) == (2, 2)
    (tmp_path / "v" / "new.safetensors").write_bytes(b"x")
    assert get() == 3
