"""What our bytes consist of adds up to what was sent."""

import pytest

from fedretina.cli.bandwidth import named_task
from fedretina.study.bandwidth import Cell, Plan, Variant, composition, federate, stored_composition
from fedretina.study.bandwidth.parts import DIRECTIONS, PARTS

PLAN = Plan(rounds=2, local_steps=2, clients=2)
SETTINGS = [
    ("dom", {"preset": "coarse"}),
    ("dom", {"rms_step": 3, "vector_error": None}),
    ("dom", {"rms_step": 5, "rotated": True}),
]


@pytest.mark.parametrize(("codec", "settings"), SETTINGS)
def test_parts_add_up_to_what_was_sent(codec, settings):
    cell = Cell(named_task("digits"), Variant.of(codec, settings), PLAN, 0)
    found = composition(cell, rounds=2)
    rows = list(federate(cell.task.make(2), cell.variant.make(), PLAN, seed=0))[1:]
    for way in DIRECTIONS:
        sent = sum(getattr(row, f"bytes_{way}") for row in rows)
        assert sum(found[way, part] for part in PARTS) == sent
        assert min(found[way, part] for part in PARTS) >= 0
        assert found[way, "integers"] > found[way, "vectors"]
        assert 0 < found[way, "headers"] < 400 * 2 * 2


def test_it_is_kept(tmp_path, monkeypatch):
    cell = Cell(named_task("digits"), Variant.of(*SETTINGS[0]), PLAN, 0)
    first = stored_composition(cell, tmp_path)
    monkeypatch.setattr("fedretina.study.bandwidth.parts.composition", None)
    assert stored_composition(cell, tmp_path) == first
