import pytest
import torch
from torch import nn

from fedretina.study.methods.federated import Proximal, batchnorm_layers, federated, last_layers
from fedretina.train import ForwardPass


@pytest.mark.parametrize("name", ["fedavg", "fedavg-tuned", "fedprox", "fedper", "fedbn"])
def test_every_kind_learns(accuracy, name):
    assert accuracy(name, epochs=6) > 40


def test_without_sources_it_is_training_alone(student):
    it = student("alone", epochs=3)
    alone = it.fit(it.new_model(), splits=it.labelled).state_dict()
    object.__setattr__(it.setting, "sources", ())
    together = federated(it).state_dict()
    assert all(torch.equal(value, together[name]) for name, value in alone.items())


def test_what_stays_at_home_is_not_averaged(student):
    it = student("fedbn", epochs=1)
    model = it.new_model()
    assert batchnorm_layers(model) == {"1"}
    assert last_layers(model) == {"1", "2", "3"}
    shared, own = (
        federated(it).state_dict(),
        federated(student("fedbn", epochs=1), local_layers=batchnorm_layers).state_dict(),
    )
    assert not torch.equal(shared["1.running_mean"], own["1.running_mean"])


def test_the_proximal_term_is_the_squared_distance():
    model = nn.Linear(2, 1, bias=False)
    term = Proximal(model, 0.5)
    term.anchor = {"weight": model.weight.detach() + torch.tensor([[3.0, 4.0]])}
    loss = term.loss(ForwardPass(torch.empty(0), torch.empty(0), None, {}, 0.0))
    assert loss.item() == pytest.approx(0.25 * 25)
    loss.backward()
    assert torch.allclose(model.weight.grad, torch.tensor([[-1.5, -2.0]]))


def test_a_larger_mu_stays_nearer(student):
    def moved(mu):
        it = student("fedprox", epochs=1)
        start = it.new_model().state_dict()["0.weight"]
        return float((federated(it, mu=mu).state_dict()["0.weight"] - start).norm())

    assert moved(100.0) < 0.5 * moved(0.0)
