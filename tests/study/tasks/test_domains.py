"""A user's task as a federation of its domains."""

import math

import numpy as np
import pytest

from digits import Digits
from fedretina.errors import BadArgument
from fedretina.study.tasks import DomainsTask


class OwnHead(Digits):
    head = "3"


def test_domains_train_together():
    task = DomainsTask(Digits(targets=()), ("upright", "left"), lr=0.01)
    assert (task.metric, task.clients, task.lower_is_better) == ("accuracy", 2, False)
    model = task.first_model(0)
    before = task.measure(model)
    for number in range(3):
        trained = [task.train(model, client, steps=20, seed=number) for client in range(2)]
        model = {name: (trained[0][name] + trained[1][name]) / 2 for name in model}
    assert task.measure(model) > before + 20


def test_a_head_stays_at_home():
    task = DomainsTask(OwnHead(targets=()), ("upright", "left"))
    model = task.first_model(0)
    assert set(model) == {"0.weight", "0.bias", "1.weight", "1.bias"}  # and no statistics of BatchNorm
    heads = [network[3].weight.detach().clone() for network in task._networks]
    assert set(task.train(model, 1, steps=2, seed=0)) == set(model)
    assert (task._networks[0][3].weight == heads[0]).all()
    assert (task._networks[1][3].weight != heads[1]).any()


def test_no_domains_are_refused():
    with pytest.raises(BadArgument, match="name them with --domains"):
        DomainsTask(Digits(), ())


def test_the_score_of_a_model_that_is_not_finite_is_nan():
    task = DomainsTask(Digits(targets=()), ("upright",))
    model = task.first_model(0)
    assert math.isnan(task.measure(model | {"0.weight": model["0.weight"] * np.nan}))
