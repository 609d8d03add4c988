"""Eq. 1's other forms, each by what sets it apart."""

import pytest
import torch
from torch import Tensor

from fedretina.errors import BadArgument
from fedretina.reuse import Alpha, Form, ReuseObjective

RISKS = {"a": 0.4, "b": 0.6, "c": 0.75}


def descended(kind: str, temperature: float = 0.5) -> dict[str, float]:
    alpha = Alpha(list(RISKS))
    optimiser = torch.optim.Adam(alpha.parameters(), lr=0.05)
    for _ in range(500):
        optimiser.zero_grad()
        alpha.loss(alpha.risk_tensor(RISKS), kind=kind, temperature=temperature).backward()
        optimiser.step()
    return alpha.values()


def test_eq_2_alone_ends_on_one_source() -> None:
    assert descended("none")["a"] > 0.95


@pytest.mark.parametrize("temperature", [0.2, 1.0])
def test_the_entropy_leads_to_the_softmax_of_the_risks(temperature: float) -> None:
    expected = torch.softmax(-torch.tensor(list(RISKS.values())) / temperature, 0)
    assert list(descended("entropy", temperature).values()) == pytest.approx(expected.tolist(), abs=0.01)


def case(seed: int = 0, **options: object) -> tuple[ReuseObjective, dict[str, Tensor], dict[str, dict[str, Tensor]]]:
    torch.manual_seed(seed)
    target = {"map": (3, 4, 2), "vector": (5,)}
    sources = {"a": {"map": (6, 2, 2), "vector": (7,)}, "b": {"map": (2, 4, 4), "vector": (5,)}}
    objective = ReuseObjective(target, sources, **options)
    z = {name: torch.randn(9, *shape) for name, shape in target.items()}
    peers = {s: {name: 3 * torch.randn(9, *shape) for name, shape in layers.items()} for s, layers in sources.items()}
    return objective, z, peers


def test_the_literal_sum_is_eq_1_to_the_letter() -> None:
    objective, z, peers = case(gamma=2.0, alpha="uniform", form=Form(literal=True))
    expected = 0.0
    for source, layers in peers.items():
        for layer, truth in layers.items():
            made = z[layer]
            for mode, v in enumerate(objective.reconstruction(source, layer).v, start=1):
                made = torch.tensordot(made, v, dims=([mode], [1])).movedim(-1, mode)
            expected += 2.0 * 0.5 * float((truth - made).detach().square().sum())
    step = objective(z, peers)
    bound = objective.alpha.bound({name: float(r) for name, r in step.residuals.items()})
    assert float((step.loss - bound).detach()) == pytest.approx(expected, rel=1e-5)


def test_bound_is_theorem_1_at_every_step() -> None:
    objective, z, peers = case(alpha="bound")
    for _ in range(3):
        objective(z, peers)
    risks = dict(zip(("a", "b"), objective.running.residual.sum(1).tolist(), strict=True))
    values = objective.alpha.values()
    assert values["a"] * risks["a"] == pytest.approx(values["b"] * risks["b"], rel=1e-5)
    assert not list(objective.alpha.parameters())
    objective(z, peers, risks={"a": 1.0, "b": 3.0})
    assert objective.alpha.values()["a"] == pytest.approx(0.75)


def test_each_layer_may_have_weights_of_its_own() -> None:
    objective, z, peers = case(alpha="bound", form=Form(per_layer=True))
    peers["a"]["vector"] = z["vector"] @ torch.randn(5, 7)
    peers["b"]["map"] = z["map"].repeat_interleave(2, 3)[:, :2]
    objective.fit(z, peers)
    for _ in range(3):
        objective(z, peers)
    assert objective.alpha.values("vector")["a"] > 0.8
    assert objective.alpha.values("map")["b"] > 0.8
    assert sum(objective.alpha.values().values()) == pytest.approx(1)
    with pytest.raises(BadArgument, match="no weights for a layer 'head'"):
        objective.alpha.values("head")


def test_measured_risks_weigh_every_layer_alike() -> None:
    objective, z, peers = case(alpha="bound", form=Form(per_layer=True))
    objective(z, peers, risks={"a": 1.0, "b": 3.0})
    assert [objective.alpha.values(layer)["a"] for layer in ("map", "vector")] == pytest.approx([0.75, 0.75])


def test_the_residual_feels_no_scale_but_an_offset() -> None:
    torch.manual_seed(0)
    z, features = torch.randn(64, 5), torch.randn(64, 7)

    def left(given: Tensor) -> float:
        objective = ReuseObjective({"z": (5,)}, {"a": {"z": (7,)}}, alpha="uniform", form=Form(closed_form=True))
        objective.fit({"z": z}, {"a": {"z": given}})
        return float(objective({"z": z}, {"a": {"z": given}}).residuals["a"])

    assert left(50 * features) == pytest.approx(left(features), rel=1e-3)
    assert left(features + 30) > 100 * left(features)


def test_learned_weights_of_each_layer_get_gradients_of_their_own() -> None:
    objective, z, peers = case(form=Form(per_layer=True))
    objective(z, peers).loss.backward()
    gradient = objective.alpha.logits.grad
    assert gradient.shape == (2, 2)
    assert not torch.allclose(gradient[:, 0], gradient[:, 1])


def test_a_closed_v_has_no_gradient_and_is_set_by_least_squares() -> None:
    objective, z, peers = case(alpha="uniform", form=Form(closed_form=True))
    assert not [p for p in objective.parameters() if p.requires_grad]
    before = objective(z, peers).residuals
    objective.fit(z, peers)
    after = objective(z, peers).residuals
    assert all(after[name] < before[name] for name in before)


def test_a_nonlinear_v_learns_what_a_linear_one_cannot() -> None:
    def left(hidden: int) -> float:
        torch.manual_seed(0)
        objective = ReuseObjective({"z": (4,)}, {"bent": {"z": (4,)}}, alpha="uniform", form=Form(hidden=hidden))
        z = torch.randn(256, 4)
        features = {"bent": {"z": z.abs()}}
        optimiser = torch.optim.Adam(objective.parameters(), lr=0.01)
        for _ in range(300):
            step = objective({"z": z}, features)
            optimiser.zero_grad()
            step.loss.backward()
            optimiser.step()
        return float(step.residuals["bent"])

    assert left(32) < 0.2
    assert left(0) > 0.8


@pytest.mark.parametrize(
    "wrong",
    [
        {"alpha_loss": "x"},
        {"temperature": 0.0},
        {"hidden": -1},
        {"hidden": 1.5},
        {"hidden": True},
        {"hidden": 8, "closed_form": True},
    ],
)
def test_what_is_impossible_is_told(wrong: dict[str, object]) -> None:
    with pytest.raises(BadArgument, match=next(iter(wrong))):
        Form(**wrong)
