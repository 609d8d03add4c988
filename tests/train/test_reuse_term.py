"""Eq. 1's second term in a learner: V is warm, and the weight of reuse grows."""

import pytest
import torch
from torch import nn

from fedretina.features import Taps
from fedretina.reuse import ReuseObjective
from fedretina.train import ForwardPass, ReuseTerm, Training
from fedretina.train.reuse_term import RAMP

TRAINING = Training(device="cpu", precision="float32")


def network(width):
    return nn.Sequential(nn.Linear(6, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, 3))


@pytest.fixture
def problem():
    torch.manual_seed(0)
    target, peers, inputs = network(8), {"a": network(5).eval(), "b": network(9).eval()}, torch.randn(64, 6)
    objective = ReuseObjective.probe(target, peers, ["1"], inputs, gamma=1.0)
    return target, ReuseTerm(peers, objective, {"a": 0.5, "b": 0.5}, training=TRAINING), inputs


def gradients(problem, progress):
    target, reuse, inputs = problem
    with Taps(target.train(), ["1"]) as taps:
        target(inputs)
        loss = reuse.loss(ForwardPass(inputs, torch.empty(0), None, taps.collect(), progress))
    target.zero_grad()
    reuse.objective.zero_grad()
    loss.backward()
    v = reuse.objective.reconstruction("a", "1").v[0].grad.norm()
    return float(loss.detach()), float(target[0].weight.grad.norm()), float(v)


def test_a_warm_v_reconstructs_better_and_the_target_stays_as_it_was(problem):
    target, reuse, inputs = problem
    state = {name: value.clone() for name, value in target.state_dict().items()}
    before = gradients(problem, 1.0)[0]
    target.load_state_dict(state)
    reuse.warm_up(target.train(), inputs)
    assert target.training
    assert all(torch.equal(value, state[name]) for name, value in target.state_dict().items())
    assert gradients(problem, 1.0)[0] < before - 0.3


def test_v_is_fit_for_the_features_of_training_whatever_the_new_models_statistics_are(problem):
    target, reuse, inputs = problem
    target[0].weight.data *= 0.01  # what a new BatchNorm, with a variance of 1, would not scale up
    reuse.warm_up(target, inputs)
    with Taps(target.train(), ["1"]) as taps:
        target(inputs)
        forward = ForwardPass(inputs, torch.empty(0), None, taps.collect(), 1.0)
    assert reuse.loss(forward) < 1.2  # gamma 1, residuals below 1, and alpha's bound


def test_the_weight_for_the_target_grows_while_v_learns_from_the_start(problem):
    _, at_first, v_at_first = gradients(problem, 0.0)
    _, half, _ = gradients(problem, RAMP / 2)
    _, whole, v = gradients(problem, RAMP)
    assert at_first == 0
    assert half == pytest.approx(whole / 2, rel=1e-4)
    assert v_at_first == pytest.approx(v)
    assert gradients(problem, 1.0)[1] == pytest.approx(whole)
