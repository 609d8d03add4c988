import pytest
import torch

from fedretina.errors import BadArgument
from fedretina.reid import aligned_loss, local_distances


def cheapest(apart):
    """Try every path from the top left to the bottom right."""
    rows, columns = apart.shape

    def walk(i, j):
        here = float(apart[i, j])
        if (i, j) == (rows - 1, columns - 1):
            return here
        ways = [walk(i + 1, j)] if i + 1 < rows else []
        ways += [walk(i, j + 1)] if j + 1 < columns else []
        return here + min(ways)

    return walk(0, 0)


@pytest.mark.parametrize("stripes", [1, 2, 4, 5])
def test_the_path_is_the_cheapest_of_all(stripes):
    torch.manual_seed(stripes)
    first, second = torch.randn(3, stripes, 6), torch.randn(4, stripes, 6)
    found = local_distances(first, second)
    assert found.shape == (3, 4)
    for i in range(3):
        for j in range(4):
            x = (first[i][:, None] - second[j][None]).norm(dim=2)
            apart = (x.exp() - 1) / (x.exp() + 1)
            assert float(found[i, j]) == pytest.approx(cheapest(apart), abs=1e-5)


def test_a_shifted_person_is_nearer_than_another():
    torch.manual_seed(0)
    body, other = torch.randn(1, 7, 16), torch.randn(1, 6, 16)
    whole, shifted = body[:, :6], body[:, 1:]
    assert local_distances(whole, shifted) < local_distances(whole, other)


def test_it_has_gradients_everywhere_and_at_distance_0():
    stripes = torch.zeros(2, 3, 4, requires_grad=True)
    local_distances(stripes, stripes).sum().backward()
    assert stripes.grad.isfinite().all()


def test_the_hard_images_are_chosen_by_the_embeddings():
    labels = torch.tensor([0, 0, 0, 1, 1])
    embeddings = torch.tensor([[0.0], [1.0], [5.0], [6.0], [9.0]])
    torch.manual_seed(0)
    local = torch.randn(5, 3, 2)
    apart = local_distances(local, local)
    chosen = [(0, 2, 3), (1, 2, 3), (2, 0, 3), (3, 4, 2), (4, 3, 2)]
    expected = torch.stack([(apart[a, p] - apart[a, n] + 0.3).clamp_min(0) for a, p, n in chosen]).mean()
    torch.testing.assert_close(aligned_loss(embeddings, local, labels), expected)


def test_without_anchors_it_is_0_with_a_gradient():
    local = torch.randn(2, 3, 4, requires_grad=True)
    loss = aligned_loss(torch.randn(2, 3), local, torch.tensor([0, 1]))
    loss.backward()
    assert loss == 0
    assert not local.grad.any()


def test_stripes_that_do_not_fit_are_told():
    with pytest.raises(BadArgument, match="stripes of shape"):
        local_distances(torch.zeros(2, 3, 4), torch.zeros(2, 5, 4))
