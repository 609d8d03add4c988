"""A learner sums its terms, shows each the layers that it named, and goes on from a saved state."""

import pytest
import torch
from torch import nn

from fedretina.errors import Corrupt
from fedretina.task import Splits, Task
from fedretina.train import DomainBatches, EpochRange, Learner, SupervisedLoss, Term, Training

TRAINING = Training(batch_size=8, lr=0.05, device="cpu", precision="float32")
INPUTS = torch.randn(32, 4, generator=torch.Generator().manual_seed(0))
SPLITS = Splits(INPUTS, (INPUTS[:, 0] > 0).long(), torch.randn(16, 4, generator=torch.Generator().manual_seed(1)))


class Signs(Task):
    metric, layers = "accuracy", ("0",)

    def loss(self, output, labels):
        return nn.functional.cross_entropy(output, labels)


class Shrink(Term):
    """Trains a factor, and makes a layer's output small."""

    layers = ("1",)

    def __init__(self):
        self.factor, self.seen = nn.Linear(1, 1, bias=False), []

    @property
    def module(self):
        return self.factor

    def parameter_groups(self):
        return [{"params": list(self.factor.parameters()), "scale": 2.0}]

    def loss(self, forward):
        self.seen.append(forward)
        return forward.z["1"].square().mean() + self.factor.weight.square().sum()


class Silent(Term):
    def loss(self, forward):
        assert not forward.z
        return None


def learner(*terms, seed=0):
    torch.manual_seed(seed)
    model, batches = (
        nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2)),
        DomainBatches(Signs(), SPLITS, 8, unlabelled=True),
    )
    return Learner(model, Signs(), TRAINING, name="x", batches=batches, terms=[SupervisedLoss(Signs()), *terms])


def train(it, first, last):
    losses = []
    it.train(EpochRange(first, last, 4), 32, lambda _epoch, _total, loss, _speed: losses.append(loss))
    return losses


def test_a_term_sees_the_layers_that_it_named_and_only_the_labels_that_there_are():
    term = Shrink()
    train(learner(term), 0, 1)
    for forward in term.seen:
        assert set(forward.z) == {"1"}
        assert forward.z["1"].shape == (8, 3)
        assert (len(forward.inputs), len(forward.output), len(forward.labels)) == (8, 8, 4)
    assert [forward.progress for forward in term.seen] == pytest.approx([i / 16 for i in range(4)])


def test_terms_are_summed_and_one_may_add_nothing():
    plain, silent, both = learner(), learner(Silent()), learner(Shrink())
    assert train(plain, 0, 1) == train(silent, 0, 1) < train(both, 0, 1)


def test_what_a_term_trains_moves_and_goes_on_with_the_model(tmp_path):
    whole, half, rest = Shrink(), Shrink(), Shrink()
    for term in (whole, half, rest):
        nn.init.ones_(term.factor.weight)
    train(learner(whole), 0, 4)
    first = learner(half)
    train(first, 0, 2)
    assert half.factor.weight < 1
    first.save(tmp_path / "state.pt")
    again = learner(rest, seed=9)
    assert again.load(tmp_path / "state.pt") == ()
    train(again, 2, 4)
    assert torch.equal(rest.factor.weight, whole.factor.weight)


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\3\4"])
def test_a_damaged_checkpoint_is_named(tmp_path, content):
    file = tmp_path / "round-1.pt"
    file.write_bytes(content)
    task = Signs()
    learner = Learner(nn.Linear(4, 2), task, TRAINING, name="signs", batches=DomainBatches(task, SPLITS, 8))
    with pytest.raises(Corrupt, match=r"the checkpoint .*round-1\.pt cannot be used \(\w+\): delete it"):
        learner.load(file)
