import pytest
import torch

from fedretina.errors import BadArgument
from fedretina.reuse.checks import check_names, check_shape


def test_names_that_match_in_any_order_pass() -> None:
    check_names("sources", {"b": 1, "a": 2}, ["a", "b"])


def test_missing_and_unknown_names_are_both_told() -> None:
    with pytest.raises(BadArgument, match=r"sources: missing \['a'\], unknown \['c'\]"):
        check_names("sources", {"b": 1, "c": 2}, ["a", "b"])


def test_a_wrong_shape_is_told_with_the_right_one() -> None:
    check_shape("z", torch.zeros(2, 3), (2, 3))
    with pytest.raises(BadArgument, match=r"z gave \(2, 3\), expected \(2, 4\)"):
        check_shape("z", torch.zeros(2, 3), (2, 4))
