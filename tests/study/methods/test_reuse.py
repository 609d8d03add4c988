import pytest

from fedretina.study import METHODS


def test_it_learns_and_alpha_is_noted(student):
    it = student("reuse", gamma=1.0)
    model = METHODS["reuse"].train(it)
    assert it.score(model)["accuracy"] > 70
    assert sum(value for name, value in it.metrics.items() if name.startswith("alpha.")) == pytest.approx(1)


@pytest.mark.parametrize("name", ["reuse-uniform", "reuse-nonlinear", "reuse-start"])
def test_every_form_trains(accuracy, name):
    assert accuracy(name, gamma=0.3) > 50


def test_uniform_alpha_stays_uniform(student):
    it = student("reuse-uniform", epochs=1)
    METHODS["reuse-uniform"].train(it)
    assert it.metrics == {"alpha.upright": 0.5, "alpha.upside-down": 0.5}
