import torch
from torch.nn import functional as F

from fedretina.study import METHODS
from fedretina.study.methods.mutual import MutualLearning, distance_difference, divergence


def test_two_networks_learn(accuracy):
    assert accuracy("mutual") > accuracy("alone") - 3


def test_only_the_one_that_learns_gets_a_gradient():
    one, other = (torch.randn(4, 3, requires_grad=True) for _ in range(2))
    (divergence(one, other) + distance_difference(one, other)).backward()
    assert one.grad is not None
    assert other.grad is None
    wanted = F.kl_div(one.log_softmax(1), other.log_softmax(1), log_target=True, reduction="batchmean")
    assert torch.allclose(divergence(one, other), wanted)


def test_they_come_to_agree(student):
    def apart(weight):
        it = student("mutual", epochs=6)
        term = MutualLearning(it.task, it.new_model("second"), layer=it.layer)
        if not weight:
            term.loss = lambda forward: it.task.loss(term.second(forward.inputs), forward.labels)
        model = it.fit(it.new_model(), splits=it.labelled, terms=[term])
        x = it.task.prepare(it.splits.unlabelled)
        with torch.no_grad():
            return float(divergence(model.eval()(x), term.second.eval()(x)))

    assert apart(1) < 0.8 * apart(0)


def test_the_second_network_is_another_one(student):
    it = student()
    first, second = it.new_model().state_dict(), it.new_model("second").state_dict()
    assert not torch.equal(first["0.weight"], second["0.weight"])
    assert METHODS["mutual"].label == "mutual learning"
