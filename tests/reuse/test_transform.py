import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fedretina.errors import BadArgument
from fedretina.reuse import Reconstruction, mode_product, ridge

sizes = st.lists(st.integers(1, 4), min_size=1, max_size=3)
seeds = st.integers(0, 2**16)


def slow_mode_product(z: Tensor, v: Tensor, mode: int) -> Tensor:
    """The definition: (z x_q v)[..., j, ...] = sum_i z[..., i, ...] v[j, i]."""
    shape = list(z.shape)
    shape[mode] = len(v)
    out = torch.zeros(shape, dtype=z.dtype)
    for j in range(len(v)):
        for i in range(v.shape[1]):
            out.select(mode, j).add_(z.select(mode, i) * v[j, i])
    return out


def residual(v: Reconstruction, z: Tensor, source_z: Tensor) -> float:
    with torch.no_grad():
        return float((source_z - v(z)).square().mean())


@settings(deadline=None)
@given(sizes=sizes, rows=st.integers(1, 5), seed=seeds, data=st.data())
def test_mode_product_is_the_definition(sizes: list[int], rows: int, seed: int, data: st.DataObject) -> None:
    mode = data.draw(st.integers(1, len(sizes)))
    rng = torch.Generator().manual_seed(seed)
    z = torch.randn(3, *sizes, generator=rng, dtype=torch.float64)
    v = torch.randn(rows, sizes[mode - 1], generator=rng, dtype=torch.float64)
    torch.testing.assert_close(mode_product(z, v, mode), slow_mode_product(z, v, mode))


@settings(deadline=None)
@given(seed=seeds)
def test_products_along_different_modes_commute(seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    z, a, b = (torch.randn(*s, generator=rng, dtype=torch.float64) for s in ((2, 3, 4), (5, 3), (2, 4)))
    torch.testing.assert_close(mode_product(mode_product(z, a, 1), b, 2), mode_product(mode_product(z, b, 2), a, 1))


@pytest.mark.parametrize(("mode", "columns"), [(0, 2), (3, 4), (1, 4), (-1, 4)])
def test_a_product_that_does_not_fit_is_refused(mode: int, columns: int) -> None:
    with pytest.raises(BadArgument, match=r"\(2, 3, 4\)"):
        mode_product(torch.zeros(2, 3, 4), torch.zeros(5, columns), mode)


def test_order_one_is_a_plain_matrix() -> None:
    v, z = Reconstruction((3,), (5,)), torch.randn(7, 3)
    torch.testing.assert_close(v(z), torch.stack([v.v[0] @ sample for sample in z]))


def test_order_three_is_eq_2() -> None:
    v, z = Reconstruction((3, 4, 2), (5, 1, 2)), torch.randn(7, 3, 4, 2)
    torch.testing.assert_close(v(z), torch.einsum("nijk,ai,bj,ck->nabc", z, *v.v))
    assert sum(p.numel() for p in v.parameters()) == 15 + 4 + 4


def test_the_start_is_near_the_identity_and_follows_torchs_seed() -> None:
    torch.manual_seed(3)
    first = Reconstruction((8, 4), (8, 4))
    z = torch.randn(50, 8, 4)
    assert residual(first, z, z) < 0.02
    torch.manual_seed(3)
    assert all(torch.equal(a, b) for a, b in zip(first.v, Reconstruction((8, 4), (8, 4)).v, strict=True))


def test_half_precision_features_are_taken() -> None:
    assert Reconstruction((3,), (5,))(torch.ones(2, 3, dtype=torch.bfloat16)).dtype == torch.float32


@pytest.mark.parametrize(
    ("target", "source", "message"),
    [
        ((8, 4, 2), (16,), r"\(8, 4, 2\) have order 3, the source's \(16\) have order 1.*tap layers"),
        ((), (), "at least 1"),
        ((0,), (4,), r"positive sizes, not \(0\)"),
    ],
)
def test_shapes_that_no_v_connects_are_refused(target: tuple[int, ...], source: tuple[int, ...], message: str) -> None:
    with pytest.raises(BadArgument, match=message):
        Reconstruction(target, source)


@settings(deadline=None)
@given(seed=seeds, strength=st.sampled_from([1e-3, 1e-1, 10.0]))
def test_ridge_is_where_the_penalised_error_is_flat(seed: int, strength: float) -> None:
    rng = torch.Generator().manual_seed(seed)
    x = torch.randn(20, 4, generator=rng, dtype=torch.float64)
    y = torch.randn(20, 3, generator=rng, dtype=torch.float64)
    v = ridge(x, y, strength).requires_grad_()
    penalty = strength * x.square().mean(0).mean()
    ((y - x @ v.T).square().sum(1).mean() + penalty * v.square().sum()).backward()
    assert v.grad is not None
    assert v.grad.abs().max() < 1e-10


def test_ridge_takes_dead_features_and_fewer_samples_than_features() -> None:
    assert torch.equal(ridge(torch.zeros(4, 3), torch.ones(4, 2)), torch.zeros(2, 3))
    assert ridge(torch.randn(2, 30), torch.randn(2, 5)).isfinite().all()


@pytest.mark.parametrize("strength", [0.0, -1.0, float("nan")])
def test_ridge_refuses_a_strength_that_is_not_positive(strength: float) -> None:
    with pytest.raises(BadArgument, match="strength"):
        ridge(torch.ones(2, 2), torch.ones(2, 2), strength)


@pytest.mark.parametrize(
    ("z", "source_z"),
    [
        (torch.ones(2, 3), torch.ones(3, 3)),
        (torch.ones(2, 3, 1), torch.ones(2, 3)),
        (torch.ones(0, 3), torch.ones(0, 3)),
        (torch.full((2, 3), torch.nan), torch.ones(2, 3)),
    ],
)
def test_ridge_refuses_features_that_do_not_fit(z: Tensor, source_z: Tensor) -> None:
    with pytest.raises(BadArgument, match="ridge takes"):
        ridge(z, source_z)


@pytest.mark.parametrize(("target", "source"), [((6,), (9,)), ((6, 4), (5, 3)), ((6, 4, 2), (3, 4, 3))])
def test_fit_finds_the_v_that_made_the_source(target: tuple[int, ...], source: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    hidden, v = Reconstruction(target, source), Reconstruction(target, source)
    with torch.no_grad():
        for matrix in hidden.v:
            matrix.normal_()
        z = torch.randn(200, *target)
        source_z = hidden(z)
    before = residual(v, z, source_z)
    v.fit(z, source_z, strength=1e-6, sweeps=30)
    assert residual(v, z, source_z) < 0.01 * before


@settings(deadline=None)
@given(seed=seeds, order=st.integers(1, 3))
def test_fit_lowers_the_residual_on_features_that_no_v_explains(seed: int, order: int) -> None:
    torch.manual_seed(seed)
    v = Reconstruction((4, 3, 2)[:order], (5, 3, 3)[:order])
    z, source_z = torch.randn(40, *v.target_shape), torch.randn(40, *v.source_shape)
    before = residual(v, z, source_z)
    v.fit(z, source_z)
    assert residual(v, z, source_z) < before


def test_fit_keeps_the_parameters_that_an_optimiser_holds() -> None:
    v = Reconstruction((3,), (3,))
    held = v.v[0]
    v.fit(torch.randn(9, 3), torch.randn(9, 3))
    assert v.v[0] is held
    assert held.requires_grad


def test_fit_refuses_other_layers_and_no_sweeps() -> None:
    v = Reconstruction((3,), (4,))
    with pytest.raises(BadArgument, match=r"takes \(3,\) to \(4,\), not \(4,\) to \(3,\)"):
        v.fit(torch.zeros(2, 4), torch.zeros(2, 3))
    with pytest.raises(BadArgument, match="sweeps"):
        v.fit(torch.zeros(2, 3), torch.zeros(2, 4), sweeps=0)
