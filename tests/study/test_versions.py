from dataclasses import replace

import pytest

from digits import Digits
from fedretina.study import Student
from fedretina.study.versions import BITS, versions


@pytest.fixture(scope="module")
def numbers(digits_store, digits_base):
    setting = replace(digits_base, method="versions", gamma=0.3, epochs=5)
    return versions(Student(setting, lambda s: Digits(targets=(s.target,)), digits_store, lambda *_: None, device="cpu"))


def test_fine_steps_change_nothing_and_coarse_ones_wreck_a_whole_model(numbers):
    for i in (1, 2, 3):
        original = numbers[f"V{i}.accuracy"]
        assert original > 40
        for way in ("dom", "plain"):
            assert numbers[f"symmetric.{way}.c7.V{i}.accuracy"] == pytest.approx(original, abs=0.3)


def test_coarser_steps_take_less_and_differences_less_than_whole_models(numbers):
    for i in (1, 2, 3):
        ratios = [numbers[f"symmetric.dom.c{bits}.V{i}.ratio"] for bits in BITS]
        assert ratios == sorted(ratios)
        assert numbers[f"symmetric.dom.c4.V{i}.ratio"] > numbers[f"symmetric.plain.c4.V{i}.ratio"] > 1


def test_the_literal_form_is_another(numbers):
    assert numbers["literal.plain.c3.V3.ratio"] != numbers["symmetric.plain.c3.V3.ratio"]
