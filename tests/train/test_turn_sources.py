import pytest

from fedretina.errors import BadArgument
from fedretina.train import TurnRules, choose_sources

SIZES = {"msmt17": 9000, "cuhk03": 2000, "pku": 300}
RISKS = {"msmt17": 0.5, "cuhk03": 0.4, "pku": 0.9}


def chosen(own_risk=None, **rules):
    return choose_sources(SIZES, RISKS, own_risk, TurnRules(**rules))


def test_turns_by_size_count_at_most_4000_samples():
    assert chosen(risk_limit=0).weights == {"msmt17": 4000, "cuhk03": 2000, "pku": 300}


def test_turns_by_risk_favour_the_source_that_fits():
    weights = chosen(by="risk", risk_limit=0).weights
    assert weights["cuhk03"] > weights["msmt17"] > weights["pku"]


def test_equal_turns():
    assert set(chosen(by="equal", risk_limit=0).weights.values()) == {1.0}


def test_a_much_worse_source_has_no_turn():
    found = chosen(risk_limit=2.0)
    assert set(found.weights) == {"msmt17", "cuhk03"}
    assert found.left_out == {"pku": "R_m 0.90 > 0.80 (2 x the smallest)"}


@pytest.mark.parametrize("how", ["one", "turns", "all"])
def test_a_source_that_is_worse_than_the_target_itself_has_no_turn(how):
    assert set(chosen(0.45, co_training=how).weights) == {"cuhk03"}
    none = chosen(0.3, co_training=how)
    assert none.weights == {}
    assert set(none.left_out) == set(SIZES)
    assert str(none).startswith("no source, so the target trains alone; left out: msmt17, R_m 0.50 > 0.30 (own risk); ")


def test_a_source_that_is_as_good_as_the_target_has_turns():
    assert "cuhk03" in chosen(RISKS["cuhk03"]).weights


def test_the_absolute_limit_can_be_wider_or_off():
    assert set(chosen(0.3, own_limit=1.5).weights) == {"cuhk03"}
    assert "R_m 0.50 > 0.45 (1.5 x own risk)" in chosen(0.3, own_limit=1.5).left_out["msmt17"]
    assert set(chosen(0.3, own_limit=0.0).weights) == {"msmt17", "cuhk03"}


def test_without_an_own_risk_only_the_relative_limit_holds():
    assert chosen(None).weights == chosen(5.0).weights == chosen(0.3, own_limit=0.0).weights


def test_the_best_source_alone():
    found = chosen(co_training="one", risk_limit=0)
    assert set(found.weights) == {"cuhk03"}
    assert found.left_out["pku"] == "cuhk03 has a smaller R_m"


def test_nobody_takes_part_without_sources_or_co_training():
    assert choose_sources({}, {}, 0.5, TurnRules()).weights == {}
    assert chosen(co_training="off").weights == {}


@pytest.mark.parametrize("rules", [{"risk_limit": 0.5}, {"own_limit": -1.0}, {"by": "luck"}, {"co_training": "two"}])
def test_rules_that_leave_out_every_source_or_mean_nothing_are_refused(rules):
    with pytest.raises(BadArgument):
        TurnRules(**rules)


def test_a_perfect_source_passes_a_target_that_makes_no_error():
    assert choose_sources({"a": 300}, {"a": 0.01}, 0.01, TurnRules()).weights == {"a": 300}
