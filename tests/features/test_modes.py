import pytest
from torch import nn

from fedretina.features.modes import eval_mode


def fail_eval_mode(model: nn.Module) -> None:
    with eval_mode(model):
        assert not any(m.training for m in model.modules())
        raise RuntimeError("on the way")


def test_every_submodule_gets_its_own_mode_back_even_after_an_error() -> None:
    model = nn.Sequential(nn.Dropout(), nn.Sequential(nn.BatchNorm1d(2).eval(), nn.Dropout()))
    before = [m.training for m in model.modules()]
    with pytest.raises(RuntimeError, match="on the way"):
        fail_eval_mode(model)
    assert [m.training for m in model.modules()] == before
