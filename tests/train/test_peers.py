import torch
from torch import nn

from digits import Digits
from fedretina.train import Peers, start_from_average


class Headed(Digits):
    head = "3"


def network(seed, width=48):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(64, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, 10))


def test_sources_whose_bodies_have_the_same_tensors_fit():
    other_head = nn.Sequential(*network(2)[:3], nn.Linear(48, 7))
    models = {"wide": network(0, 64), "good": network(1), "better": other_head}
    peers = Peers(models, {"wide": 99.0, "good": 50.0, "better": 60.0})
    assert peers.compatible_with(network(3), "3") == ["good", "better"]
    assert peers.compatible_with(network(3), "") == ["good"]
    assert peers.best(network(3), "3") == "better"
    assert peers.best(network(3, 8), "3") is None


def test_an_average_is_the_peers_mean_but_for_the_head_and_the_statistics():
    task, peers, model = Headed(), [network(1), network(2), network(3)], network(4)
    peers[0][1].running_mean += 100
    head, splits = model[3].weight.clone(), task.splits(task.target)
    start_from_average(model, peers, task, splits)
    assert torch.allclose(model[0].weight, sum(peer[0].weight for peer in peers) / 3, atol=1e-6)
    assert torch.equal(model[3].weight, head)
    # They are those of the target's samples as the average sees them.
    assert torch.allclose(model[1].running_mean, model[0](splits.everything()).mean(0), atol=1e-5)
