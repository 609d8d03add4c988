"""Digits that are dealt unequally."""

import torch

from fedretina.study.tasks import Digits
from fedretina.study.tasks.digits import TRAINED, digits, shares


def test_every_digit_has_one_client_and_clients_differ():
    for clients in (1, 4, 50):
        found = shares(clients)
        assert torch.equal(torch.cat(found).sort().values, torch.arange(TRAINED))
        assert min(map(len, found)) > 0
    labels = digits()[1]
    counts = torch.stack([labels[share].bincount(minlength=10) for share in shares(4)]).float()
    assert (counts.max(0).values > 1.5 * counts.mean(0)).sum() >= 5


def test_a_client_learns_what_it_has():
    task = Digits(clients=2)
    model = task.first_model(0)
    assert task.measure(model) < 30
    assert task.measure(task.train(model, 0, steps=40, seed=0)) > 40
