import pytest

from fedretina.study import METHODS


def test_a_committee_beats_fine_tuning_and_notes_what_it_labelled(accuracy, student):
    it = student("committee")
    model = METHODS["committee"].train(it)
    assert it.score(model)["accuracy"] > accuracy("finetune")
    assert it.metrics["committee.share"] > 50


def test_self_training_needs_no_peer(student, monkeypatch):
    it = student("self")
    monkeypatch.setattr(type(it), "home_model", lambda *_: pytest.fail("a source was asked for"))
    assert it.score(METHODS["self"].train(it))["accuracy"] > 50


@pytest.mark.parametrize("name", ["self-start", "committee-best", "committee-scratch", "committee-reuse"])
def test_every_part_trains(accuracy, name):
    assert accuracy(name, gamma=0.3, epochs=6) > 50
