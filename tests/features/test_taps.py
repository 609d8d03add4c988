import pytest
import torch
from torch import Tensor, nn

from fedretina.errors import BadArgument
from fedretina.features import Taps


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer1 = nn.Linear(4, 3)
        self.body = nn.Sequential(nn.Linear(3, 3), nn.ReLU(inplace=True))
        self.embedding = nn.Linear(3, 2)
        self.unused = nn.Linear(1, 1)
        self.recurrent = nn.LSTM(2, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        z: Tensor = self.embedding(self.body(self.layer1(x)))
        return z + self.recurrent(z[:, None])[0][:, 0]


@pytest.mark.parametrize("training", [True, False])
def test_collects_the_outputs_of_the_named_layers(training: bool) -> None:
    model, x = Net().train(training), torch.randn(5, 4)
    with Taps(model, ["embedding", "body", "layer1"]) as taps:
        model(x)
        z = taps.collect()
    assert list(z) == ["embedding", "body", "layer1"]
    torch.testing.assert_close(z["layer1"], model.layer1(x))
    torch.testing.assert_close(z["embedding"], model.embedding(z["body"]))
    assert model.training is training


def test_the_models_output_stays_the_same() -> None:
    model, x = Net(), torch.randn(5, 4)
    expected = model(x)
    with Taps(model, ["body"]):
        torch.testing.assert_close(model(x), expected, rtol=0, atol=0)


def test_gradients_flow_through_what_is_collected() -> None:
    model = Net()
    with Taps(model, ["body"]) as taps:
        model(torch.randn(5, 4))
        taps.collect()["body"].sum().backward()
    assert model.layer1.weight.grad is not None
    assert model.embedding.weight.grad is None


def test_no_hook_is_left_after_closing_nor_after_a_failing_model() -> None:
    model = Net()
    taps = Taps(model, ["body", "layer1"])
    assert model.body._forward_hooks
    taps.close()
    taps.close()
    assert not model.body._forward_hooks
    with pytest.raises(RuntimeError, match="shapes"), Taps(model, ["body"]):
        model(torch.randn(5, 9))
    assert not any(module._forward_hooks for module in model.modules())


def test_two_taps_on_a_model_do_not_disturb_each_other() -> None:
    model, x = Net(), torch.randn(2, 4)
    with Taps(model, ["body"]) as one:
        with Taps(model, ["body"]) as two:
            model(x)
            two.collect()
        assert one.collect()["body"].shape == (2, 3)


def test_each_collect_gives_the_run_since_the_last() -> None:
    model = Net()
    with Taps(model, ["body"]) as taps:
        for samples in (2, 3):
            model(torch.randn(samples, 4))
            assert len(taps.collect()["body"]) == samples


def test_works_in_inference_mode() -> None:
    model = Net()
    with torch.inference_mode(), Taps(model, ["body"]) as taps:
        model(torch.randn(2, 4))
        assert taps.collect()["body"].is_inference()


def test_an_unknown_layer_is_told_with_near_names_and_the_available_ones() -> None:
    with pytest.raises(BadArgument, match=r"no layer 'embeding': did you mean 'embedding'.*layer1, body, body.0"):
        Taps(Net(), ["layer1", "embeding"])
    assert not any(module._forward_hooks for module in Net().modules())


def test_the_list_of_available_layers_is_cut() -> None:
    with pytest.raises(BadArgument, match=r"has 0, 1, .*, 39 and 60 more$"):
        Taps(nn.Sequential(*[nn.Identity() for _ in range(100)]), ["layer"])


@pytest.mark.parametrize("layers", ["body", [], [""], ["body", "body"]])
def test_unusable_lists_of_layers_are_refused(layers: list[str]) -> None:
    with pytest.raises(BadArgument):
        Taps(Net(), layers)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("unused", "'unused' was not run"),
        ("recurrent", "'recurrent' returned a tuple"),
        ("body.0", "changed the output of layer 'body.0' in place"),
    ],
)
def test_a_layer_that_gives_no_usable_tensor_is_told(layer: str, message: str) -> None:
    model = Net()
    with Taps(model, [layer]) as taps:
        model(torch.randn(2, 4))
        with pytest.raises(BadArgument, match=message):
            taps.collect()


def test_a_layer_that_runs_twice_is_told_and_then_forgotten() -> None:
    model, x = Net(), torch.randn(2, 4)
    with Taps(model, ["body"]) as taps:
        model(x)
        model(x)
        with pytest.raises(BadArgument, match="'body' ran 2 times"):
            taps.collect()
        model(x)
        assert len(taps.collect()["body"]) == 2
