import pytest
import torch

from fedretina.errors import BadArgument
from fedretina.reuse import ClassMemory


def clouds(seed=0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(5).repeat_interleave(8) * 10 + 3
    centres = torch.randn(5, 16, generator=generator)
    return centres.repeat_interleave(8, 0) + 0.1 * torch.randn(40, 16, generator=generator), labels


def test_it_is_the_cross_entropy_of_the_cosines_to_the_centres():
    features, labels = clouds()
    unit = torch.nn.functional.normalize(features, dim=1)
    centres = torch.nn.functional.normalize(torch.stack([unit[labels == c].sum(0) for c in labels.unique()]), dim=1)
    expected = torch.nn.functional.cross_entropy(unit @ centres.T / 0.05, labels.unique(return_inverse=True)[1])
    torch.testing.assert_close(ClassMemory(features, labels).loss(features, labels), expected)


def test_descending_it_separates_classes():
    _, labels = clouds()
    embeddings = torch.randn(40, 16, generator=torch.Generator().manual_seed(1), requires_grad=True)
    memory = ClassMemory(embeddings.detach(), labels)
    optimiser = torch.optim.Adam([embeddings], lr=0.05)
    for _ in range(50):
        optimiser.zero_grad()
        loss = memory.loss(embeddings, labels)
        loss.backward()
        optimiser.step()
    unit = torch.nn.functional.normalize(embeddings.detach(), dim=1)
    near, same = unit @ unit.T, labels[:, None] == labels
    assert near[same].mean() > near[~same].mean() + 0.2


def test_centres_follow_the_batch_by_the_momentum():
    memory = ClassMemory(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 1]), momentum=0.0)
    turned = torch.tensor([[-2.0, 0.0]])
    before = memory.loss(turned, torch.tensor([0]))
    assert memory.loss(turned, torch.tensor([0])) < before
    fixed = ClassMemory(torch.eye(2), torch.tensor([0, 1]), momentum=1.0)
    assert fixed.loss(turned, torch.tensor([0])) == fixed.loss(turned, torch.tensor([0]))


def test_samples_of_classes_that_it_does_not_hold_are_left_out():
    features, labels = clouds()
    memory = ClassMemory(features, labels)
    extra = torch.cat([features, features[:2]]), torch.cat([labels, torch.tensor([0, 99])])
    torch.testing.assert_close(ClassMemory(features, labels).loss(*extra), memory.loss(features, labels))
    lonely = features[:2].clone().requires_grad_()
    nothing = memory.loss(lonely, torch.tensor([0, 99]))
    nothing.backward()
    assert nothing == 0
    assert not lonely.grad.any()


@pytest.mark.parametrize(
    "wrong", [{"temperature": 0.0}, {"momentum": 1.5}, {"labels": torch.zeros(3)}, {"features": torch.zeros(0, 2)}]
)
def test_what_does_not_fit_is_told(wrong):
    features, labels = clouds()
    with pytest.raises(BadArgument):
        ClassMemory(**{"features": features, "labels": labels, **wrong})
