"""The GPT and its adapters."""

import torch

from fedretina.study.tasks import RANK, VOCABULARY, Gpt, add_adapters


def gpt():
    torch.manual_seed(0)
    return Gpt(width=16, depth=2, vocabulary=VOCABULARY, length=8)


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
