import pytest

from fedretina.errors import BadArgument
from fedretina.reuse import Schedule


def test_by_default_the_weight_is_1_from_the_first_step():
    assert [Schedule().weight(step) for step in (0, 1, 999)] == [1, 1, 1]


def test_it_grows_and_never_falls_before_the_end():
    schedule = Schedule(warm_up=10, ramp=7, end=40)
    weights = [schedule.weight(step) for step in range(40)]
    assert weights[:10] == [0] * 10
    assert weights == sorted(weights)
    assert weights[16] == weights[39] == 1
    assert schedule.weight(40) == 0


@pytest.mark.parametrize("wrong", [{"warm_up": -1}, {"ramp": -1}, {"warm_up": 5, "ramp": 5, "end": 9}])
def test_impossible_schedules_are_refused(wrong):
    with pytest.raises(BadArgument, match=list(wrong)[-1]):
        Schedule(**wrong)
