from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import nn

from fedretina.errors import BadArgument
from fedretina.features import adapt_batchnorm, embed


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout()
    )


@pytest.fixture
def images():
    return torch.randn(100, 3, 8, 4, generator=torch.Generator().manual_seed(0))


def test_every_group_has_its_own_statistics(images):
    groups = np.arange(100) % 3 * 5
    images[groups == 5] *= 4
    found = embed(network(), images, "4", groups=groups)
    for group in (0, 5, 10):
        model = network()
        part = images[groups == group]
        adapt_batchnorm(model, [part])
        assert np.allclose(found[groups == group], model.eval()(part).detach(), atol=1e-5)


def test_small_groups_have_the_statistics_of_all(images):
    groups = np.array([0] * 60 + [1] * 25 + [2] * 15)
    found = embed(network(), images, "4", groups=groups)
    model = network()
    adapt_batchnorm(model, [images])
    assert np.allclose(found[60:], model.eval()(images)[60:].detach(), atol=1e-5)
    assert not np.allclose(found[:60], model(images)[:60].detach(), atol=1e-3)


def test_the_model_is_afterwards_what_it_was(images):
    model = network().train()
    model[1].eval()
    before = deepcopy(model.state_dict())
    embed(model, images, "4", groups=np.arange(100) % 2)
    assert [module.training for module in model] == [True, False, True, True, True, True]
    assert all(torch.equal(value, model.state_dict()[key]) for key, value in before.items())
    with pytest.raises(BadArgument):
        embed(model, torch.full((40, 3, 8, 4), torch.nan), "4")
    assert all(torch.equal(value, model.state_dict()[key]) for key, value in before.items())


def test_views_are_averaged_and_samples_prepared_by_batches(images):
    stored, sizes = (images * 10).byte(), []

    def prepare(batch):
        sizes.append(len(batch))
        return batch.float() / 10

    found = embed(network(), stored, "4", prepare=prepare, views=[lambda x: x.flip(3)], adapt=False, batch=32)
    model, inputs = network().eval(), stored.float() / 10
    expected = (model(inputs) + model(inputs.flip(3))) / 2
    assert np.allclose(found, expected.detach(), atol=1e-5)
    assert max(sizes) <= 34


def test_maps_are_averaged_over_their_places(images):
    found = embed(network(), images, "0", adapt=False)
    assert np.allclose(found, network()[0](images).mean((2, 3)).detach(), atol=1e-5)


def test_what_cannot_be_embedded_is_refused(images):
    with pytest.raises(BadArgument, match="no sample"):
        embed(network(), images[:0], "4")
    with pytest.raises(BadArgument, match=r"give \(100,\)"):
        embed(network(), images, "4", groups=[1, 2])
    with pytest.raises(BadArgument, match="vector per sample"):
        embed(nn.Sequential(nn.Flatten(), nn.Linear(96, 1), nn.Flatten(0)), images, "2")
