import pytest

from fedretina.errors import BadArgument
from fedretina.reuse import Schedule


def test_by_default_the_pull_is_whole_from_the_first_step():
    assert [Schedule().pull(step) for step in (0, 1, 999)] == [1, 1, 1]


def test_it_grows_and_never_falls_before_the_end():
    schedule = Schedule(warm_up=10, ramp=7, end=40)
    pulls = [schedule.pull(step) for step in range(40)]
    assert pulls[:10] == [0] * 10
    assert pulls == sorted(pulls)
    assert pulls[16] == pulls[39] == 1
    assert schedule.pull(40) == 0


@pytest.mark.parametrize("wrong", [{"warm_up": -1}, {"ramp": -1}, {"warm_up": 5, "ramp": 5, "end": 9}])
def test_impossible_schedules_are_refused(wrong):
    with pytest.raises(BadArgument, match=list(wrong)[-1]):
        Schedule(**wrong)
