"""The vectors' text, networks and judge."""

import numpy as np
import pytest
import torch

from codec.update import Update
from codec.vectors.judge import Judge, loss_of
from codec.vectors.roster import JUDGED_VECTORS, QUICK_VECTORS
from fedretina.study.tasks import CLIENTS, RANK, VOCABULARY, Gpt, add_adapters, batches, shares


def gpt():
    torch.manual_seed(0)
    return Gpt(width=16, depth=2, vocabulary=VOCABULARY, length=8)


def state(model):
    return {name: values.detach().numpy().copy() for name, values in model.state_dict().items()}


def test_text_is_dealt_to_clients_and_a_tenth_is_held_out():
    found = shares()
    assert len(found) == CLIENTS + 1
    for share in found:
        assert 0.08 < len(share.held_out) / len(share.training) < 0.15
        assert 0 <= int(share.training.min()) <= int(share.training.max()) < VOCABULARY
    assert not torch.equal(found[0].training[:1000], found[1].training[:1000])


def test_equal_seeds_draw_equal_batches():
    tokens = torch.arange(1000)
    first, again, other = (batches(tokens, count=2, size=3, length=7, seed=seed) for seed in (1, 1, 2))
    assert [batch.shape for batch in first] == [(3, 8), (3, 8)]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])


def test_the_gpt_sees_no_later_token():
    model, tokens = gpt(), torch.arange(8)[None]
    changed = tokens.clone()
    changed[0, -1] = 99
    assert torch.allclose(model(tokens)[0, :-1], model(changed)[0, :-1], atol=1e-6)


def test_adapters_begin_as_the_model_and_only_they_learn():
    model, tokens = gpt(), torch.arange(8)[None]
    before = model(tokens)
    add_adapters(model)
    assert torch.equal(model(tokens), before)
    learning = {name: values for name, values in model.named_parameters() if values.requires_grad}
    assert len(learning) == 2 * 4 * 2
    assert all(name.endswith((".a", ".b")) and RANK in values.shape for name, values in learning.items())


def test_the_judge_gives_0_to_new_1_to_base_and_half_between():
    """The loss is linear here, so half of the update has half of the improvement."""
    network = torch.nn.Linear(2, 1, bias=False)
    base, new = {"weight": np.float32([[0, 4]])}, {"weight": np.float32([[2, 4]])}
    judge = Judge(loss_of(network, lambda module: -module.weight.sum()), base, new)
    assert judge.losses == (-4, -6)
    assert (judge.lost_by(new), judge.lost_by(base)) == (0, 1)
    assert judge.lost({"weight": np.float32([[1, 0]])}) == pytest.approx(0.5)
    assert judge.lost({}) == 1


def test_the_judge_takes_bfloat16_and_keeps_it(tmp_path):
    vector = QUICK_VECTORS["gpt-tiny-bf16"]
    vector.write("gpt-tiny-bf16", tmp_path)
    update, judge = Update.read(tmp_path / "gpt-tiny-bf16"), vector.judge("gpt-tiny-bf16", tmp_path)
    assert {values.dtype.name for values in update.new.values()} == {"bfloat16"}
    assert judge.losses[1] < judge.losses[0]
    assert judge.lost(update.delta) == pytest.approx(0, abs=1e-6)
    files = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.safetensors")}
    vector.write("gpt-tiny-bf16", tmp_path)
    assert files == {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.safetensors")}


def test_every_vector_of_the_issue_is_judged():
    kinds = ("up40", "up200", "down", "bf16", "lora-zero", "lora-round2")
    assert {"vit", *(f"gpt5m-{kind}" for kind in kinds)} < set(JUDGED_VECTORS)
    assert {"resnet50-adamw", "resnet50-sgd", "cnn-adamw", "cnn-sgd"} < set(JUDGED_VECTORS)
