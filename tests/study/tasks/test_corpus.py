"""Text that ships with Python, dealt to clients."""

import torch

from fedretina.study.tasks import CLIENTS, DOCUMENTATION, VOCABULARY, batches, shares
from fedretina.study.tasks.corpus import documentation


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


def test_the_documentation_is_dealt_without_loss():
    parts, whole = documentation(3), shares()[DOCUMENTATION]
    assert torch.equal(torch.cat([part.training for part in parts]), whole.training)
    assert torch.equal(torch.cat([part.held_out for part in parts]), whole.held_out)
