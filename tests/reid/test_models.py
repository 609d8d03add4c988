import socket

import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import resnet18

from fedretina.errors import BadArgument
from fedretina.reid.models import MODELS, build


def make(name="small", classes=7, weights="", height=64, width=32):
    return build(name, classes, height=height, width=width, weights=weights)


@pytest.mark.parametrize(("name", "dim"), [("small", 128), ("resnet18", 512), ("resnet50", 2048)])
def test_outputs_and_tap_points(name, dim):
    model = make(name).eval()
    output = model(torch.zeros(2, 3, 64, 32))
    assert output.embedding.shape == (2, dim)
    assert output.logits.shape == (2, 7)
    assert {"layer2", "layer3", "embedding", "head"} <= {name for name, _ in model.named_modules()}


def test_what_is_tapped_as_embedding_is_the_embedding():
    model, seen = make().eval(), []
    model.get_submodule("embedding").register_forward_hook(lambda *args: seen.append(args[2]))
    output = model(torch.randn(2, 3, 64, 32))
    assert torch.equal(seen[0], output.embedding)


def test_small_is_small():
    assert 250_000 < sum(p.numel() for p in make(classes=60).parameters()) < 400_000


@pytest.mark.parametrize("name", MODELS)
def test_only_the_head_depends_on_the_number_of_classes(name):
    few, many = (make(name, classes).state_dict() for classes in (3, 9))
    assert {key for key in few if few[key].shape != many[key].shape} == {"head.weight"}


@pytest.mark.parametrize(("height", "width"), [(16, 16), (64, 32), (65, 31), (128, 64)])
def test_any_size(height, width):
    output = make(height=height, width=width).eval()(torch.zeros(1, 3, height, width))
    assert output.embedding.isfinite().all()


def test_every_parameter_learns():
    model = make()
    output = model(torch.randn(4, 3, 64, 32))
    torch.nn.functional.cross_entropy(output.logits, torch.arange(4)).backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in model.parameters())


def test_weights_are_contiguous_for_files_and_wires():
    assert all(value.is_contiguous() for value in make().state_dict().values())


def test_nothing_is_downloaded(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a model must not need the network")

    monkeypatch.setattr(socket, "socket", refuse)
    for name in MODELS:
        make(name)


@pytest.mark.parametrize(
    "wrong", [{"name": "resnet34"}, {"classes": 0}, {"height": 8}, {"width": 0}, {"weights": "nowhere.pth"}]
)
def test_bad_arguments(wrong):
    with pytest.raises(BadArgument):
        make(**wrong)


def test_weights_of_torchvision_without_its_classifier(tmp_path):
    torch.manual_seed(3)
    donor = resnet18(weights=None)
    torch.save(donor.state_dict(), tmp_path / "donor.pth")
    model = make("resnet18", weights=tmp_path / "donor.pth")
    assert torch.equal(model.get_parameter("layer4.1.conv2.weight"), donor.layer4[1].conv2.weight)


def test_weights_of_ones_own(tmp_path):
    donor = make(classes=9)
    save_file(donor.state_dict(), tmp_path / "own.safetensors")
    model = make(classes=4, weights=tmp_path / "own.safetensors")
    mine, theirs = model.state_dict(), donor.state_dict()
    assert all(torch.equal(mine[key], theirs[key]) for key in mine if not key.startswith("head."))


def test_weights_of_an_older_torch_have_no_counts_of_batches(tmp_path):
    donor = resnet18(weights=None)
    state = {k: v for k, v in donor.state_dict().items() if not k.endswith("num_batches_tracked")}
    torch.save(state, tmp_path / "old.pth")
    model = make("resnet18", weights=tmp_path / "old.pth")
    assert torch.equal(model.get_parameter("layer1.0.conv1.weight"), donor.layer1[0].conv1.weight)
    assert model.get_buffer("bn1.num_batches_tracked") == 0
    del state["layer1.0.bn1.running_mean"]
    torch.save(state, tmp_path / "old.pth")
    with pytest.raises(BadArgument, match=r"lacks layer1\.0\.bn1\.running_mean\. Give"):
        make("resnet18", weights=tmp_path / "old.pth")


def test_weights_saved_from_data_parallel(tmp_path):
    donor = make(classes=9)
    save_file(torch.nn.DataParallel(donor).state_dict(), tmp_path / "parallel.safetensors")
    model = make(weights=tmp_path / "parallel.safetensors")
    assert torch.equal(model.get_parameter("reduce.weight"), donor.reduce.weight)
    one_odd = {**{f"module.{k}": v for k, v in donor.state_dict().items()}, "stray": torch.zeros(1)}
    save_file(one_odd, tmp_path / "odd.safetensors")
    with pytest.raises(BadArgument, match=r"has unknown module\."):
        make(weights=tmp_path / "odd.safetensors")


@pytest.mark.parametrize("name", ["small", "resnet18"])
def test_a_model_with_parts_starts_from_its_own_file(tmp_path, name):
    donor = build(name, 9, height=64, width=32, head="parts")
    torch.save(donor.state_dict(), tmp_path / "parts.pth")
    model = build(name, 4, height=64, width=32, head="parts", weights=tmp_path / "parts.pth")
    mine, theirs = model.state_dict(), donor.state_dict()
    assert all(torch.equal(mine[key], theirs[key]) for key in mine if not key.startswith("head."))
    with pytest.raises(BadArgument, match=r"has unknown body\."):
        make(name, weights=tmp_path / "parts.pth")


def test_a_model_with_parts_starts_from_one_without(tmp_path):
    donor = make()
    torch.save(donor.state_dict(), tmp_path / "whole.pth")
    model = build("small", 4, height=64, width=32, head="parts", weights=tmp_path / "whole.pth")
    assert torch.equal(model.get_parameter("body.layer3.conv2.weight"), donor.layer3.conv2.weight)


def test_weights_that_do_not_fit_are_named(tmp_path):
    state = make("resnet18").state_dict()
    state["conv1.weight"] = torch.zeros(64, 1, 7, 7)
    state["stray"] = torch.zeros(1)
    del state["layer2.0.conv1.weight"]
    save_file(state, tmp_path / "odd.safetensors")
    with pytest.raises(BadArgument) as caught:
        make("resnet18", weights=tmp_path / "odd.safetensors")
    assert all(word in str(caught.value) for word in ("odd.safetensors", "conv1.weight", "stray", "layer2.0.conv1"))


@pytest.mark.parametrize("name", ["broken.safetensors", "broken.pth", "notes.txt"])
def test_files_that_are_no_weights(tmp_path, name):
    (tmp_path / name).write_bytes(b"no tensors here")
    with pytest.raises(BadArgument, match=name):
        make(weights=tmp_path / name)


def test_a_file_of_something_else(tmp_path):
    torch.save({"epoch": 3}, tmp_path / "state.pth")
    with pytest.raises(BadArgument, match="state dictionary"):
        make(weights=tmp_path / "state.pth")


@pytest.mark.parametrize(("name", "parts", "width"), [("small", 4, 32), ("resnet18", 6, 256)])
def test_parts_have_an_embedding_and_a_classifier_each(name, parts, width):
    model = build(name, 7, height=64, width=32, head="parts").eval()
    output = model(torch.randn(2, 3, 64, 32))
    assert output.embedding.shape == (2, parts * width)
    assert output.logits.shape == (2, parts, 7)
    assert output.local.shape == (2, parts, width)
    assert [key for key in model.state_dict() if key.startswith("head.")] == [f"head.{i}.weight" for i in range(parts)]
    assert not any("body.head" in key or "body.embedding" in key for key in model.state_dict())


def test_a_part_sees_its_own_stripe_most():
    torch.manual_seed(0)
    model = build("small", 7, height=64, width=32, head="parts").eval()
    image = torch.randn(1, 3, 64, 32)
    changed = image.clone()
    changed[:, :, :10] += 3
    moved = (model(image).local - model(changed).local).norm(dim=2)[0]
    assert moved.argmax() == 0
    assert moved[3] < 0.3 * moved[0]


@pytest.mark.parametrize(("name", "width"), [("small", 128), ("resnet18", 512)])
def test_without_a_neck_the_embedding_is_what_was_pooled(name, width):
    model = build(name, 3, height=64, width=32, head="plain").eval()
    assert not any(key.startswith("embedding") for key in model.state_dict())
    output = model(torch.randn(2, 3, 64, 32))
    assert output.embedding.shape == (2, width)
    assert torch.equal(output.logits, model.head(output.embedding))


def test_the_last_stride_halves_the_last_map():
    shapes = [build("resnet18", 3, height=64, width=32, last_stride=s).map(torch.zeros(1, 3, 64, 32)).shape for s in (1, 2)]
    assert [tuple(shape) for shape in shapes] == [(1, 512, 4, 2), (1, 512, 2, 1)]
    with pytest.raises(BadArgument, match="last stride 3"):
        build("resnet18", 3, height=64, width=32, last_stride=3)


def test_an_unknown_head_is_told():
    with pytest.raises(BadArgument, match="head 'x' is unknown"):
        build("small", 7, height=64, width=32, head="x")
