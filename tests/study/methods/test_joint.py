import pytest

from fedretina.study import METHODS
from fedretina.study.methods.joint import JointSources
from fedretina.study.traffic import Traffic

SHORT = {"epochs": 12, "alone_last": 2, "labelled": 0.3}


@pytest.mark.parametrize("name", [name for name in METHODS if name.startswith("joint") or name in ("turns", "one", "soup")])
def test_every_recipe_learns(student, name):
    it = student(name, **SHORT)
    model = METHODS[name].train(it)
    assert it.score(model)["accuracy"] > 70
    if name != "soup":
        assert it.metrics["bytes"] > 0


def transfers(student, name, **differs):
    it = student(name, **SHORT | differs)
    METHODS[name].train(it)
    return it.metrics["transfers"]


def test_transfers_are_those_of_the_recipe(student):
    # Two sources: home models up and down, two body rounds down and up, the joint body down.
    home, body = 2 * 2, 2 * 2 * 2
    assert transfers(student, "joint-body", body_rounds=2) == home + body + 1
    # Epochs 1-5 and 6-10 are co-trained: the target and a source, down and up; at last down to the target. The first
    # segment starts from the joint body; it is sent again, as the first version of a stream of its own.
    assert transfers(student, "joint-turns", body_rounds=2) == home + body + 1 + 2 * 4 + 1
    everybody = {"body_rounds": 2, "risk_limit": 0.0, "own_limit": 0.0}
    assert transfers(student, "joint-all", **everybody) == home + body + 1 + 2 * 6 + 1


def test_the_joint_training_is_stored(student):
    it, first, second = student("joint-body"), Traffic(), Traffic()
    one = JointSources(it, rounds=2, traffic=first)
    calls = []
    it.on_progress = lambda *args: calls.append(args)
    other = JointSources(it, rounds=2, traffic=second)
    assert not calls
    assert all((one.body[name] == value).all() for name, value in other.body.items())
    assert first.metrics() == second.metrics()


def test_another_number_of_body_rounds_is_another_training(student):
    assert student("joint-body", body_rounds=2).setting.body_key != student("joint-body", body_rounds=3).setting.body_key
    assert student("joint-body").setting.body_key == student("joint-turns", labelled=0.1).setting.body_key


def test_study_and_strategy_choose_sources_by_the_same_limits(student):
    it = student("joint-turns", sources=("upright", "left", "upside-down"))
    METHODS["joint-turns"].train(it)
    limit = min(it.metrics["risk.own"], 2 * min(it.peers.risks.values()))
    assert it.metrics["turns.sources"] == sum(risk <= limit for risk in it.peers.risks.values()) == 1
    assert it.metrics["risk.left"] == it.peers.risks["left"] > limit


def test_where_no_source_is_good_the_target_trains_from_the_joint_body(student, accuracy):
    closed = {"target": "left", "sources": ("upright", "faint"), "labelled": 0.3, "body_rounds": 2}
    it = student("joint-turns", **closed)
    METHODS["joint-turns"].train(it)
    assert it.metrics["turns.sources"] == 0
    assert accuracy("joint-turns", **closed) == accuracy("joint-body", **closed)
    assert transfers(student, "joint-turns", **closed) == transfers(student, "joint-body", **closed)


def test_limits_can_be_switched_off(student):
    it = student("joint-turns", target="left", sources=("upright", "faint"), own_limit=0.0, risk_limit=0.0)
    METHODS["joint-turns"].train(it)
    assert it.metrics["turns.sources"] == 2


@pytest.mark.parametrize("name", ["fedavg-equal", "fedprox-equal", "fedbn-equal"])
def test_comparators_have_the_budget_of_co_training(student, name):
    ours = transfers(student, "joint-turns")
    assert transfers(student, name) == pytest.approx(ours, abs=6)
