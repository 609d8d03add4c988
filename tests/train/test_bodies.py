import pytest
import torch
from torch import nn

from fedretina.errors import BadArgument
from fedretina.train import average_bodies, average_states, load_body, mix_bodies, shared_body, tensor_arrays


def network(seed, classes=3):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, classes))


def body(value):
    return {"w": torch.full((2,), float(value))}


def test_a_body_has_neither_head_nor_statistics():
    model = network(0)
    assert set(shared_body(model, "3")) == {"0.weight", "0.bias", "1.weight", "1.bias"}
    assert {"3.weight", "3.bias"} <= set(shared_body(model, ""))


def test_a_body_is_a_copy():
    model = network(0)
    taken = shared_body(model, "3")
    with torch.no_grad():
        model[0].weight.zero_()
    assert taken["0.weight"].abs().sum() > 0


def test_loading_leaves_head_and_statistics_at_home():
    one, other = network(0), network(1, classes=7)
    other[1].running_mean.fill_(9.0)
    head = other[3].weight.clone()
    load_body(other, shared_body(one, "3"), "3")
    assert torch.equal(other[0].weight, one[0].weight)
    assert torch.equal(other[3].weight, head)
    assert (other[1].running_mean == 9).all()


@pytest.mark.parametrize("change", [lambda b: b.pop("0.bias"), lambda b: b.update({"0.bias": torch.zeros(9)})])
def test_a_body_of_another_architecture_is_refused(change):
    found = shared_body(network(0), "3")
    change(found)
    with pytest.raises(BadArgument, match=r"does not fit the model in 0\.bias"):
        load_body(network(1), found, "3")


def test_averages_count_by_samples_and_counters_are_copied():
    states = [{"w": torch.tensor([1.0]), "n": torch.tensor(4)}, {"w": torch.tensor([4.0]), "n": torch.tensor(9)}]
    mean = average_states(states, [2, 1], ["w", "n"])
    assert (mean["w"].item(), mean["n"].item()) == (2.0, 4)


def test_a_large_domain_counts_as_4000_samples():
    mean = average_bodies({"a": body(1), "b": body(0)}, {"a": 40_000, "b": 4000})
    assert mean["w"].tolist() == [0.5, 0.5]


def test_equal_bodies_average_to_themselves():
    mean = mix_bodies(body(3), {"a": body(3), "b": body(3)}, {"a": 10, "b": 30}, share_target=0.6)
    assert mean["w"].tolist() == pytest.approx([3, 3])


def test_the_target_has_its_share_however_many_sources_there_are():
    for sources in ({"a": body(0)}, {"a": body(0), "b": body(0)}):
        mixed = mix_bodies(body(1), sources, {"a": 10, "b": 4000}, share_target=0.6)
        assert mixed["w"].tolist() == pytest.approx([0.6, 0.6])


def test_without_a_source_the_target_keeps_its_body():
    assert mix_bodies(body(1), {}, {}, share_target=0.6)["w"].tolist() == [1, 1]


def test_scalars_and_bfloat16_keep_their_shapes_and_values():
    arrays = tensor_arrays({"scale": torch.tensor(2.5), "w": torch.tensor([1.5], dtype=torch.bfloat16)})
    assert arrays["scale"].shape == ()
    assert arrays["w"].dtype == "float32"
    assert arrays["w"].tolist() == [1.5]
