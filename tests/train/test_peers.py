import ml_dtypes
import numpy as np
import pytest
import torch
from torch import nn

from digits import Digits
from fedretina.errors import BadArgument
from fedretina.reuse import ReuseObjective
from fedretina.train import (
    ForwardPass,
    Peers,
    ReuseTerm,
    Training,
    adapt_peers,
    check_finite,
    model_arrays,
    start_from_average,
)


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
    head, splits = model[3].weight.clone(), task.splits(task.targets[0])
    start_from_average(model, peers, task, splits)
    assert torch.allclose(model[0].weight, sum(peer[0].weight for peer in peers) / 3, atol=1e-6)
    assert torch.equal(model[3].weight, head)
    # They are those of the target's samples as the average sees them.
    assert torch.allclose(model[1].running_mean, model[0](splits.everything()).mean(0), atol=1e-5)


def published(model):
    return {name: value.numpy() for name, value in model.state_dict().items()}


def adapted(models, task=None):
    task = task or Headed()
    return adapt_peers(models, task, task.splits(task.targets[0]), task.targets[0])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_peer_that_is_not_finite_is_named_with_its_tensors(value):
    arrays = published(network(1))
    arrays["0.weight"][0, :2] = value
    said = r"the model of 'left' cannot be used: it has NaN or infinite values in 0\.weight \(2 of 3072\)"
    with pytest.raises(BadArgument, match=said):
        adapted({"upright": published(network(2)), "left": arrays})


def test_a_peer_of_another_kind_is_named_with_what_differs():
    with pytest.raises(
        BadArgument, match=r"the model of 'left' cannot be used: it has misshapen 0\.weight \(64, 64\) instead of"
    ):
        adapted({"left": published(network(1, 64))})
    arrays = published(network(1))
    arrays["stray"] = arrays.pop("0.bias")
    with pytest.raises(
        BadArgument, match=r"'left' cannot be used: it lacks 0\.bias; has unknown stray\. .*leave 'left' out"
    ):
        adapted({"left": arrays})


def test_a_peer_that_cannot_be_measured_is_named():
    class Strict(Headed):
        def evaluate(self, model, domain, *, split="test"):
            raise BadArgument("features are not finite")

    with pytest.raises(BadArgument, match="the model of 'left' cannot be used on the target: features are not finite"):
        adapted({"left": published(network(1))}, Strict())


class Half(Headed):
    """Its sources' networks are bfloat16."""

    def model(self, domain, classes):
        model = super().model(domain, classes)
        return model if domain in self.targets else model.bfloat16()


def test_a_bfloat16_peer_under_a_float32_target_is_a_peer_like_others():
    task = Half()
    whole = network(1).bfloat16()
    half = {name: np.array(value.float().numpy(), ml_dtypes.bfloat16) for name, value in whole.state_dict().items()}
    peers = adapted({"float32": model_arrays(whole), "bfloat16": half}, task)
    for model in peers.models.values():
        assert torch.equal(model[0].weight, whole[0].weight.float())
    assert peers.scores["float32"] == peers.scores["bfloat16"]
    target, example = network(2), task.prepare(task.splits(task.targets[0]).inputs[:8])
    objective = ReuseObjective.probe(target, peers.models, task.layers, example)
    term = ReuseTerm(peers.models, objective, peers.risks, training=Training(device="cpu", precision="float32"))
    term.warm_up(target, example)
    z = {layer: target[:2](example) for layer in task.layers}
    loss = term.loss(ForwardPass(example, torch.zeros(8), None, z, 1.0))
    assert loss.isfinite()


def test_what_is_published_is_finite():
    arrays = model_arrays(network(1))
    check_finite(arrays, "left")
    arrays["0.bias"][3] = np.nan
    with pytest.raises(BadArgument, match=r"the training of 'left' diverged: NaN or infinite values in 0\.bias \(1 of 48\)"):
        check_finite(arrays, "left")
