"""What is kept of two sources goes on beside a third, whose V and weight are new."""

import pytest
import torch
from torch import nn

from fedretina.reuse import ReuseObjective
from fedretina.train.late_sources import extend_optimizer_state, extend_state, new_sources

SHAPES = {"cuhk03": {"a": (4,), "b": (3, 2)}, "duke.2": {"a": (5,), "b": (2, 2)}, "msmt17": {"a": (6,), "b": (3, 3)}}
OLD, ALL = ("cuhk03", "msmt17"), tuple(SHAPES)


def objective(*sources, seed=0, **options):
    torch.manual_seed(seed)
    return ReuseObjective({"a": (3,), "b": (2, 2)}, {name: SHAPES[name] for name in sources}, **options)


def trained(it):
    optimizer = torch.optim.Adam(it.parameters(), lr=0.1)
    z = {"a": torch.randn(8, 3), "b": torch.randn(8, 2, 2)}
    of = {name: {layer: torch.randn(8, *shape) for layer, shape in SHAPES[name].items()} for name in it.alpha.sources}
    for _ in range(3):
        optimizer.zero_grad()
        it(z, of, risks={name: 0.2 + place for place, name in enumerate(of)}).loss.backward()
        optimizer.step()
    return optimizer


def test_nobody_is_new():
    it = objective(*OLD)
    kept = it.state_dict()
    assert new_sources(it, kept) == ()
    assert extend_state(it, kept) is kept
    assert new_sources(nn.Linear(1, 1), {}) == ()


def test_a_state_grows_by_the_new_sources_v_and_its_share():
    old, it = objective(*OLD), objective(*ALL, seed=1)
    trained(old)
    before, made = old.alpha.values(), it.reconstruction("duke.2", "a").state_dict()
    assert new_sources(it, old.state_dict()) == ("duke.2",)
    it.load_state_dict(extend_state(it, old.state_dict()))
    for source in OLD:
        for name, value in old.reconstruction(source, "b").state_dict().items():
            assert torch.equal(it.reconstruction(source, "b").state_dict()[name], value)
    assert all(torch.equal(it.reconstruction("duke.2", "a").state_dict()[name], value) for name, value in made.items())
    alpha = it.alpha.values()
    assert alpha["duke.2"] == pytest.approx(1 / 3)
    assert alpha["cuhk03"] / alpha["msmt17"] == pytest.approx(before["cuhk03"] / before["msmt17"])
    assert not it.running.batches


@pytest.mark.parametrize("alpha", ["uniform", "bound"])
def test_weights_that_are_not_learned_grow_too(alpha):
    old, it = objective(*OLD, alpha=alpha), objective(*ALL, alpha=alpha)
    it.load_state_dict(extend_state(it, old.state_dict()))
    assert it.alpha.values() == pytest.approx(dict.fromkeys(ALL, 1 / 3))


def test_an_optimizers_state_is_kept_by_name_where_shapes_are_the_same():
    old, it = objective(*OLD), objective(*ALL)
    optimizer = trained(old)
    kept, after = optimizer.state_dict(), torch.optim.Adam(it.parameters(), lr=0.1)
    names, kept_names = ([name for name, _ in module.named_parameters()] for module in (it, old))
    after.load_state_dict(extend_optimizer_state(after, names, kept, kept_names))
    of = dict(it.named_parameters())
    for name, parameter in old.named_parameters():
        if name == "alpha.logits":  # its moments are one vector, of another size
            assert of[name] not in after.state
        else:
            assert torch.equal(after.state[of[name]]["exp_avg"], optimizer.state[parameter]["exp_avg"])
    assert len(after.state) == len(kept_names) - 1
