"""Networks as tasks of a federation."""

import numpy as np
import pytest
import torch
from torch import nn

from fedretina.errors import BadArgument
from fedretina.study.tasks import NetworkTask
from fedretina.study.tasks.federated import arrays, load


class Line(NetworkTask):
    """y = 2 x, learned by one weight; it has a frozen tensor, a buffer of floats and one of integers."""

    metric, clients, lr, decay = "loss", 2, 0.1, 0.0

    def build(self):
        network = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1, affine=False), nn.Linear(1, 1))
        network[2].requires_grad_(False)
        return network

    def losses(self, network, client, *, steps, seed):
        x = torch.randn(steps, 8, 1, generator=torch.Generator().manual_seed(seed))
        for batch in x:
            yield (network[0](batch) - 2 * batch).square().mean() + 0 * network[1](batch).sum()

    def score(self, network):
        return float((network[0].weight - 2).square())


def test_what_travels_is_what_is_trained_and_float_buffers():
    assert set(Line().first_model(0)) == {"0.weight", "1.running_mean", "1.running_var"}


def test_equal_seeds_give_equal_models_and_torchs_own_generator_is_left_alone():
    state = torch.random.get_rng_state()
    first, again, other = (Line().first_model(seed) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert (first["0.weight"] == again["0.weight"]).all()
    assert (first["0.weight"] != other["0.weight"]).all()


def test_training_moves_to_the_solution_and_leaves_its_input():
    task = Line()
    model = task.first_model(0)
    before = model["0.weight"].copy()
    trained = task.train(model, 0, steps=60, seed=3)
    assert (model["0.weight"] == before).all()
    assert task.measure(trained) < 0.05 * task.measure(model)
    assert (trained["0.weight"] == task.train(model, 0, steps=60, seed=3)["0.weight"]).all()
    assert (trained["0.weight"] != task.train(model, 0, steps=60, seed=4)["0.weight"]).all()


def test_arrays_of_another_network_are_refused():
    network = nn.Linear(2, 1)
    assert load(network, {"weight": np.ones((1, 2), np.float32)}).weight.sum() == 2
    assert arrays(network)["weight"].sum() == 2
    with pytest.raises(BadArgument, match="no tensors other"):
        load(network, {"other": np.ones(1, np.float32)})
