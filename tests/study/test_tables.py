"""Tables of studies and benchmarks."""

import pytest

from fedretina.study.tables import mean_and_deviation, mean_text, table


def test_a_table_without_rows_has_a_head():
    assert table(["a", "b"], []) == "| a | b |\n|---|---|\n"


@pytest.mark.parametrize(
    ("values", "options", "text"),
    [
        ([97.0, 98.0, 99.0], {}, "98.0 ± 1.0"),
        ([1.0, 2.0, 3.0], {"form": "+.2f"}, "+2.00 ± 1.00"),
        ([1.0, 2.0, 3.0], {"form": "+.2f", "deviation_form": ".1f"}, "+2.00 ± 1.0"),
        ([1.0, 2.0, 3.0, 4.0], {"error": True}, "2.5 ± 0.6"),
        ([-1.0], {"form": "+.1f", "error": True}, "-1.0"),
    ],
)
def test_a_mean_has_a_deviation_if_there_are_several_values(values, options, text):
    assert mean_text(values, **options) == text


def test_one_value_has_no_deviation():
    assert mean_and_deviation([2.0]) == (2.0, None)
