import torch

from fedretina.study.methods.experts import BagOfExperts
from fedretina.study.methods.fusion import layer_reader
from fedretina.study.student import freeze


def test_it_learns(accuracy):
    assert accuracy("experts") > 60


def test_experts_stay_as_they_are_and_are_needed_at_test_time(student):
    it = student("experts")
    sources = freeze(it.peers.models)
    before = {name: value.clone() for name, value in sources[0].state_dict().items()}
    bag = BagOfExperts(
        it.model_from_best(),
        sources,
        layer=it.layer,
        read=layer_reader(it.layer),
        example=it.example,
        width=it.embedding_width(it.new_model()),
    )
    it.fit(bag, splits=it.labelled)
    assert all(torch.equal(value, before[name]) for name, value in sources[0].state_dict().items())
    x = it.task.prepare(it.splits.inputs[:8])
    with torch.no_grad():
        told = bag.eval()(x)
        assert not torch.allclose(told, bag.target(x))
        sources[0][0].weight.zero_()
        assert not torch.allclose(told, bag(x))
