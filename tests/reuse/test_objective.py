import io
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from fedretina.errors import BadArgument
from fedretina.features import Taps
from fedretina.reuse import ReuseObjective, theorem_alpha

TARGET = {"layer.1": (3, 4), "embedding": (5,)}
SOURCES = {
    "market1501": {"layer.1": (2, 4), "embedding": (7,)},
    "cuhk03": {"layer.1": (3, 2), "embedding": (5,)},
}


def features(shapes: dict[str, tuple[int, ...]], samples: int = 6) -> dict[str, Tensor]:
    return {name: torch.randn(samples, *shape) for name, shape in shapes.items()}


def batch(samples: int = 6) -> tuple[dict[str, Tensor], dict[str, dict[str, Tensor]]]:
    return features(TARGET, samples), {name: features(shapes, samples) for name, shapes in SOURCES.items()}


@settings(deadline=None)
@given(seed=st.integers(0, 2**16), gamma=st.floats(0, 100), samples=st.integers(2, 9))
def test_the_loss_is_eq_1_summed_by_hand_in_units_of_the_sources_variance(seed: int, gamma: float, samples: int) -> None:
    torch.manual_seed(seed)
    objective = ReuseObjective(TARGET, SOURCES, gamma=gamma)
    risks = {"market1501": 0.5, "cuhk03": 0.9}
    objective.alpha.fit({"market1501": 1.0, "cuhk03": 2.0})
    z, source_z = batch(samples)
    step = objective(z, source_z, risks=risks)
    alpha, expected = objective.alpha.values(), 0.0
    for source in SOURCES:
        total = 0.0
        for layer in TARGET:
            theirs, v = source_z[source][layer], objective.reconstruction(source, layer).v
            eq_2 = 0.0
            for n in range(samples):
                made = v[0] @ z[layer][n] @ v[1].T if len(v) == 2 else v[0] @ z[layer][n]
                eq_2 += (theirs[n] - made).square().sum().item()
            variance = theirs.var(0, correction=0).mean().item()
            total += eq_2 / (samples * theirs[0].numel() * variance)
        assert step.residuals[source].item() == pytest.approx(total, rel=1e-4)
        expected += gamma * alpha[source] * total + alpha[source] ** 2 * risks[source]
    assert step.loss.item() == pytest.approx(expected, rel=1e-4)


def test_the_scale_of_a_source_does_not_matter() -> None:
    z, source_z = batch()
    residuals = []
    for scale in (1.0, 1000.0):
        torch.manual_seed(0)
        objective = ReuseObjective(TARGET, SOURCES)
        scaled = {s: {layer: scale * x for layer, x in by_layer.items()} for s, by_layer in source_z.items()}
        objective.fit(z, scaled)
        residuals.append(torch.stack(list(objective(z, scaled).residuals.values())))
    torch.testing.assert_close(residuals[0], residuals[1])


def test_gradients_reach_target_and_v_but_not_the_sources() -> None:
    objective = ReuseObjective(TARGET, SOURCES)
    z, source_z = batch()
    leaves = [*z.values(), *(x for by_layer in source_z.values() for x in by_layer.values())]
    for leaf in leaves:
        leaf.requires_grad_()
    objective(z, source_z).loss.backward()
    assert all(x.grad is not None and x.grad.abs().sum() > 0 for x in leaves[: len(z)])
    assert all(x.grad is None for x in leaves[len(z) :])
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in objective.v.parameters())


def test_alpha_learns_from_the_bound_alone() -> None:
    z, source_z = batch()
    risks = {"market1501": 0.2, "cuhk03": 0.8}
    gradients = []
    for gamma in (0.0, 1000.0):
        objective = ReuseObjective(TARGET, SOURCES, gamma=gamma)
        objective(z, source_z, risks=risks).loss.backward()
        gradients.append(objective.alpha.logits.grad)
    torch.testing.assert_close(gradients[0], gradients[1])
    assert gradients[0].abs().min() > 0


def test_gamma_zero_leaves_the_bound_and_no_gradient_for_the_target() -> None:
    objective = ReuseObjective(TARGET, SOURCES, gamma=0)
    z, source_z = batch()
    for leaf in z.values():
        leaf.requires_grad_()
    risks = {"market1501": 0.2, "cuhk03": 0.8}
    loss = objective(z, source_z, risks=risks).loss
    assert loss.item() == pytest.approx(objective.alpha.bound(risks).item())
    loss.backward()
    assert all(not leaf.grad.any() for leaf in [*z.values(), *objective.v.parameters()])


def test_without_risks_alpha_goes_by_the_running_residual() -> None:
    torch.manual_seed(0)
    objective = ReuseObjective({"z": (4,)}, {"easy": {"z": (4,)}, "noise": {"z": (4,)}})
    optimiser = torch.optim.Adam(objective.parameters(), lr=0.05)
    for _ in range(300):
        z = torch.randn(64, 4)
        step = objective(
            {"z": z}, {"easy": {"z": z + z.roll(1, 1) + torch.randn(64, 4) / 2}, "noise": {"z": z.exp().flip(0)}}
        )
        optimiser.zero_grad()
        step.loss.backward()
        optimiser.step()
    residuals = dict(zip(objective.alpha.sources, objective.running.residual.sum(1).tolist(), strict=True))
    assert residuals["noise"] > 3 * residuals["easy"]
    assert objective.alpha.values() == pytest.approx(theorem_alpha(residuals), abs=0.05)


def test_a_source_with_a_hundred_times_the_risk_loses_its_weight() -> None:
    objective = ReuseObjective(TARGET, SOURCES)
    optimiser = torch.optim.Adam(objective.alpha.parameters(), lr=0.05)
    z, source_z = batch()
    for _ in range(600):
        optimiser.zero_grad()
        objective(z, source_z, risks={"market1501": 0.01, "cuhk03": 1.0}).loss.backward()
        optimiser.step()
    assert objective.alpha.values()["cuhk03"] < 0.02


def test_fit_lowers_every_residual() -> None:
    torch.manual_seed(0)
    objective = ReuseObjective(TARGET, SOURCES)
    z, source_z = batch(100)
    before = objective(z, source_z).residuals
    objective.fit(z, source_z)
    after = objective(z, source_z).residuals
    assert all(after[name] < before[name] for name in SOURCES)


def test_uniform_alpha_leaves_only_v_to_learn() -> None:
    objective = ReuseObjective(TARGET, SOURCES, alpha="uniform")
    assert len(list(objective.parameters())) == len(list(objective.v.parameters())) == 6
    objective(*batch()).loss.backward()
    assert set(objective.alpha.values().values()) == {0.5}


def test_the_state_makes_a_round_trip_whatever_the_order_of_names() -> None:
    torch.manual_seed(0)
    one = ReuseObjective(TARGET, SOURCES)
    two = ReuseObjective(dict(reversed(TARGET.items())), dict(reversed(SOURCES.items())))
    one.alpha.fit({"market1501": 1.0, "cuhk03": 5.0})
    one(*batch())
    saved = io.BytesIO()
    torch.save(one.state_dict(), saved)
    saved.seek(0)
    two.load_state_dict(torch.load(saved, weights_only=True))
    assert two.alpha.values() == one.alpha.values()
    following = batch()
    assert two(*following).loss.item() == one(*following).loss.item()
    assert {"running.variance", "running.residual", "running.batches"} <= set(one.state_dict())


def test_eval_mode_remembers_nothing() -> None:
    objective = ReuseObjective(TARGET, SOURCES)
    objective(*batch())
    before = {name: value.clone() for name, value in objective.state_dict().items()}
    objective.eval()(*batch())
    assert all(torch.equal(value, before[name]) for name, value in objective.state_dict().items())


def network(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, width), nn.BatchNorm1d(width), nn.Dropout(), nn.Linear(width, 2))


def test_probe_finds_the_shapes_and_changes_no_model() -> None:
    student, source = network(3), network(5)
    student[1].eval()
    before = [{k: v.clone() for k, v in m.state_dict().items()} for m in (student, source)]
    objective = ReuseObjective.probe(student, {"peer": source}, ["1", "0"], torch.randn(6, 4), gamma=2.5)
    assert objective.gamma == 2.5
    assert objective.reconstruction("peer", "1").target_shape == (3,)
    assert objective.reconstruction("peer", "1").source_shape == (5,)
    for model, state in zip((student, source), before, strict=True):
        assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
        assert not any(m._forward_hooks for m in model.modules())
    assert [m.training for m in student] == [True, False, True, True]
    assert all(m.training for m in source)


def test_probe_tells_the_layers_whose_orders_differ() -> None:
    image = nn.Sequential(nn.Unflatten(1, (2, 2)))
    with pytest.raises(BadArgument, match=r"source 'peer', layer '0': .*\(3\) have order 1.*\(2, 2\) have order 2"):
        ReuseObjective.probe(network(3), {"peer": image}, ["0"], torch.randn(6, 4))


@pytest.mark.parametrize("gamma", [-0.1, math.nan, math.inf])
def test_a_gamma_that_is_not_a_weight_is_refused(gamma: float) -> None:
    with pytest.raises(BadArgument, match="gamma"):
        ReuseObjective(TARGET, SOURCES, gamma=gamma)


def test_no_layers_no_sources_and_layers_that_differ_are_refused() -> None:
    with pytest.raises(BadArgument, match="at least one layer"):
        ReuseObjective({}, {"a": {}})
    with pytest.raises(BadArgument, match="at least one"):
        ReuseObjective(TARGET, {})
    with pytest.raises(BadArgument, match=r"layers of source 'a': missing \['layer.1'\]"):
        ReuseObjective(TARGET, {"a": {"embedding": (5,)}})


def test_a_v_that_does_not_exist_is_refused() -> None:
    with pytest.raises(BadArgument, match=r"'fc' of source 'cuhk03'.*\['cuhk03', 'market1501'\]"):
        ReuseObjective(TARGET, SOURCES).reconstruction("cuhk03", "fc")


def broken(change: str) -> tuple[dict[str, Tensor], dict[str, dict[str, Tensor]]]:
    z, source_z = batch(1 if change == "one sample" else 6)
    if change == "source missing":
        del source_z["cuhk03"]
    elif change == "layer missing":
        del z["embedding"]
    elif change == "samples":
        source_z["cuhk03"] = features(SOURCES["cuhk03"], 5)
    elif change == "shape":
        z["layer.1"] = z["layer.1"].transpose(1, 2)
    elif change == "nan":
        source_z["cuhk03"]["embedding"][0, 0] = torch.nan
    elif change == "infinite":
        z["embedding"][0, 0] = torch.inf
    elif change == "constant":
        source_z["cuhk03"]["embedding"] = torch.full((6, 5), 0.3)
    return z, source_z


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("source missing", r"sources: missing \['cuhk03'\]"),
        ("layer missing", r"target's layers: missing \['embedding'\]"),
        ("samples", r"source 'cuhk03' gave \(5, 5\), expected \(6, 5\)"),
        ("shape", r"target's layer 'layer.1' gave \(6, 4, 3\), expected \(6, 3, 4\)"),
        ("nan", "residual of source 'cuhk03' is not finite"),
        ("infinite", "is not finite"),
        ("constant", "'embedding' of source 'cuhk03' is the same for every sample"),
        ("one sample", "at least 2 different samples"),
    ],
)
def test_bad_features_are_refused_and_nothing_is_remembered(change: str, message: str) -> None:
    objective = ReuseObjective(TARGET, SOURCES)
    with pytest.raises(BadArgument, match=message):
        objective(*broken(change))
    assert not objective.running.batches
    assert not objective.running.variance.any()


def test_risks_of_other_sources_are_refused() -> None:
    with pytest.raises(BadArgument, match=r"risks: missing \['cuhk03', 'market1501'\], unknown \['duke'\]"):
        ReuseObjective(TARGET, SOURCES)(*batch(), risks={"duke": 1.0})


def test_the_whole_chain_gives_the_student_gradients_and_leaves_the_source_alone() -> None:
    student, source, x = network(3), network(5).eval(), torch.randn(8, 4)
    objective = ReuseObjective.probe(student, {"peer": source}, ["0"], x)
    with Taps(source, ["0"]) as taps, torch.no_grad():
        source(x)
        source_z = {"peer": taps.collect()}
    with Taps(student, ["0"]) as taps:
        student(x)
        objective(taps.collect(), source_z).loss.backward()
    assert student[0].weight.grad is not None
    assert all(p.grad is None for p in source.parameters())
