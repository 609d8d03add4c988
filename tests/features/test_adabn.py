from collections.abc import Iterable
from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from fedretina.errors import BadArgument
from fedretina.features import adapt_batchnorm


def network() -> nn.Sequential:
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Dropout(), nn.Linear(64, 5), nn.BatchNorm1d(5)
    )
    for norm in (model[1], model[5]):
        norm.running_mean.fill_(9)
        norm.num_batches_tracked.fill_(7)
    return model


def test_the_first_layers_statistics_are_the_averages_over_the_batches() -> None:
    model = nn.Sequential(nn.BatchNorm2d(3))
    batches = [torch.randn(8, 3, 2, 2) * scale + scale for scale in (1, 2, 5)]
    adapt_batchnorm(model, iter(batches))
    means = torch.stack([b.mean((0, 2, 3)) for b in batches]).mean(0)
    variances = torch.stack([b.var((0, 2, 3)) for b in batches]).mean(0)
    torch.testing.assert_close(model[0].running_mean, means)
    torch.testing.assert_close(model[0].running_var, variances)
    assert model[0].num_batches_tracked == 3


@pytest.mark.parametrize("training", [True, False])
def test_nothing_but_the_statistics_changes(training: bool) -> None:
    model = network().train(training)
    model[3].train(not training)
    model[1].momentum, model[5].momentum = 0.3, None
    model[0].weight.requires_grad_(False)
    before = deepcopy(model)
    adapt_batchnorm(model, [torch.randn(4, 3, 6, 6)])
    assert [m.training for m in model.modules()] == [m.training for m in before.modules()]
    assert (model[1].momentum, model[5].momentum) == (0.3, None)
    for (name, new), old in zip(model.named_parameters(), before.parameters(), strict=True):
        assert torch.equal(new, old), name
        assert new.requires_grad == old.requires_grad
        assert new.grad is None
    for norm in (model[1], model[5]):
        assert (norm.running_mean < 5).all()


def test_dropout_is_off_meanwhile() -> None:
    one, two = network(), network()
    two.load_state_dict(one.state_dict())
    batch = torch.randn(16, 3, 6, 6)
    adapt_batchnorm(one, [batch])
    adapt_batchnorm(two, [batch])
    assert torch.equal(one[5].running_mean, two[5].running_mean)


def test_a_shifted_domain_is_normalised_again() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8))
    target = torch.randn(512, 6) * 3 + 4
    assert model.eval()(target).mean(0).abs().max() > 1
    adapt_batchnorm(model, target.split(128))
    z = model(target)
    assert z.mean(0).abs().max() < 0.01
    assert (z.std(0) - 1).abs().max() < 0.05


@pytest.mark.parametrize("model", [nn.Linear(2, 2), nn.BatchNorm1d(2, track_running_stats=False)])
def test_a_model_without_running_statistics_is_left_alone(model: nn.Module) -> None:
    def unread() -> Iterable[Tensor]:
        raise AssertionError
        yield

    adapt_batchnorm(model, unread())


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        ([], "no batch"),
        ([torch.randn(4, 3, 6, 6), torch.randn(1, 3, 6, 6)], r"batch 1, of shape \(1, 3, 6, 6\).*at least 2"),
        ([torch.full((4, 3, 6, 6), torch.nan)], "batch 0 has NaN"),
        ([(torch.randn(4, 3, 6, 6), 0)], r"a tuple, not a tensor: give \(x for x, _ in loader\)"),
    ],
)
def test_unusable_batches_are_refused_and_the_old_statistics_kept(batches: list[Tensor], message: str) -> None:
    model = network()
    model[1].momentum = 0.2
    before = deepcopy(model.state_dict())
    with pytest.raises(BadArgument, match=message):
        adapt_batchnorm(model, batches)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model[1].momentum == 0.2
    assert all(m.training for m in model.modules())


def test_other_errors_of_the_model_pass_through() -> None:
    with pytest.raises(ValueError, match="expected 2D or 3D") as caught:
        adapt_batchnorm(nn.BatchNorm1d(2), [torch.ones(2, 2, 2, 2)])
    assert not isinstance(caught.value, BadArgument)
