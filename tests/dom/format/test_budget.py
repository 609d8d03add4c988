import numpy as np
import pytest

from fedretina.dom import DomConfig, Version, accept, decode, encode, inspect, publish
from fedretina.errors import BadArgument


@pytest.fixture(scope="module")
def pair(residual_cnn, trained):
    base = residual_cnn(widths=(16, 32, 64))
    return base, trained(base)


def _error(base, new, back):
    weights = [name for name in new if new[name].ndim > 1]
    squares = {n: np.sum((back[n] - new[n]) ** 2.0) / np.sum((new[n] - base[n]) ** 2.0) for n in weights}
    return (sum(squares[name] * new[name].size for name in weights) / sum(new[name].size for name in weights)) ** 0.5


@pytest.mark.parametrize("lattice", [False, True])
@pytest.mark.parametrize("effort", ["fast", "balanced", "small"])
@pytest.mark.parametrize("budget", [5_000, 12_000, 30_000, 60_000])
def test_a_budget_is_spent_within_two_percent_and_never_exceeded(pair, lattice, effort, budget):
    base, new = pair
    payload = encode(new, base=base, config=DomConfig(budget_bytes=budget, lattice=lattice, effort=effort))
    assert 0.98 * budget <= len(payload) <= budget
    assert inspect(payload).lattice == lattice


@pytest.mark.parametrize("lattice", [False, True])
def test_keyframes_have_budgets_too(pair, lattice):
    _, new = pair
    payload = encode(new, config=DomConfig(budget_bytes=50_000, lattice=lattice))
    assert 0.98 * 50_000 <= len(payload) <= 50_000
    assert sorted(decode(payload)) == sorted(new)


def test_more_bytes_buy_less_distortion_and_it_is_told(pair):
    base, new = pair
    held = Version.of(base)
    errors = []
    for budget in (5_000, 10_000, 20_000, 40_000):
        made = publish(new, base=held, config=DomConfig(budget_bytes=budget))
        errors.append(made.error)
        assert made.error == pytest.approx(_error(base, new, made.version.model), rel=1e-3)
    assert errors == sorted(errors, reverse=True)


@pytest.mark.parametrize("effort", ["fast", "balanced"])
def test_a_budget_loses_no_more_than_the_same_bytes_by_relative_error(pair, effort):
    base, new = pair
    plain = encode(new, base=base, config=DomConfig(effort=effort))
    budgeted = encode(new, base=base, config=DomConfig(budget_bytes=len(plain), effort=effort))

    def lost(payload):
        back = decode(payload, base=base)
        return sum(float(np.sum(np.square(back[name] - new[name], dtype=np.float64))) for name in new if new[name].ndim > 1)

    assert lost(budgeted) <= 1.02 * lost(plain)


def test_differences_have_one_step_and_tensors_without_base_their_own():
    rng = np.random.default_rng(0)
    base = {name: rng.standard_normal((40, 50)).astype(np.float32) for name in ("a", "b")}
    new = {name: base[name] + np.float32(size) * base[name][::-1] for name, size in (("a", 0.01), ("b", 0.02))}
    new |= {"c": 100 * base["a"], "d": 0.1 * base["b"]}
    payload = encode(new, base=base, config=DomConfig(budget_bytes=8_000))
    steps = {tensor.name: tensor.step for tensor in inspect(payload, base=base).tensors}
    assert steps["a"] == steps["b"]
    assert steps["c"] / steps["d"] == pytest.approx(1000, rel=0.1)


def test_sensitive_tensors_get_finer_steps(pair):
    base, new = pair
    weights = [name for name in new if new[name].ndim > 1]
    cared_for = weights[len(weights) // 2]
    config = DomConfig(budget_bytes=20_000)

    def steps(sensitivities):
        payload = encode(new, base=base, config=config, sensitivities=sensitivities)
        assert 0.98 * 20_000 <= len(payload) <= 20_000
        return {tensor.name: tensor.step for tensor in inspect(payload, base=base).tensors}

    equal = steps(dict.fromkeys(weights, 1.0))
    cared = steps(dict.fromkeys(weights, 1.0) | {cared_for: 16.0})
    other = next(name for name in weights if name != cared_for)
    assert equal[cared_for] == equal[other]
    assert cared[other] / cared[cared_for] == pytest.approx(16**0.125, rel=0.02)


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_sensitivities_are_positive(pair, value):
    base, new = pair
    with pytest.raises(BadArgument, match=r"sensitivity of 'layer0\.conv1\.weight'"):
        encode(new, base=base, config=DomConfig(budget_bytes=9_000), sensitivities={"layer0.conv1.weight": value})


@pytest.mark.parametrize("config", [DomConfig(), DomConfig(budget_bytes=9_000, rotated=True)])
def test_sensitivities_that_would_do_nothing_are_refused(pair, config):
    base, new = pair
    with pytest.raises(BadArgument, match="give budget_bytes, without rotated"):
        encode(new, base=base, config=config, sensitivities={"layer0.conv1.weight": 2.0})


def test_a_budget_that_cannot_be_met_says_what_is_needed(pair):
    base, new = pair
    with pytest.raises(BadArgument, match=r"budget_bytes is 100; the least that this model can take is \d+"):
        encode(new, base=base, config=DomConfig(budget_bytes=100))


def test_a_budget_that_nothing_needs_is_not_wasted():
    model = {"w": np.arange(3, dtype=np.float32)}
    payload = encode(model, config=DomConfig(budget_bytes=10**6))
    assert len(payload) < 300
    np.testing.assert_allclose(decode(payload)["w"], model["w"], rtol=1e-4)


def test_versions_of_a_stream_with_budgets_are_accepted(pair):
    base, new = pair
    config = DomConfig(budget_bytes=20_000, lattice=True)
    first = publish(base, base=None, config=config)
    second = publish(new, base=first.version, config=config)
    assert accept(second.payload, base=accept(first.payload, base=None)) == second.version
