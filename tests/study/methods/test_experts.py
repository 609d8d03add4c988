import torch

from fedretina.study.methods.experts import BagOfExperts
from fedretina.study.methods.fusion import features
from fedretina.study.student import frozen


def test_it_learns(accuracy):
    assert accuracy("experts") > 60


def test_experts_stay_as_they_are_and_are_needed_at_test_time(student):
    it = student("experts")
    sources = frozen(it.peers.models)
    before = {name: value.clone() for name, value in sources[0].state_dict().items()}
    bag = BagOfExperts(
        it.started(), sources, layer=it.layer, see=features(it.layer), example=it.example, width=it.width(it.fresh())
    )
    it.fit(bag, splits=it.labelled)
    assert all(torch.equal(value, before[name]) for name, value in sources[0].state_dict().items())
    x = it.task.prepare(it.splits.inputs[:8])
    with torch.no_grad():
        told = bag.eval()(x)
        assert not torch.allclose(told, bag.target(x))
        sources[0][0].weight.zero_()
        assert not torch.allclose(told, bag(x))
