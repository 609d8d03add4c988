import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fedretina.errors import BadArgument
from fedretina.reuse import Alpha, theorem_alpha

positive = st.floats(1e-3, 1e3)
many_risks = st.dictionaries(st.text(min_size=1), positive, min_size=1, max_size=6)


def descend(alpha: Alpha, risks: dict[str, float], *, steps: int = 400) -> None:
    optimiser = torch.optim.Adam(alpha.parameters(), lr=0.05)
    for _ in range(steps):
        optimiser.zero_grad()
        alpha.bound(risks).backward()
        optimiser.step()


def weighted(alpha: dict[str, float], risks: dict[str, float]) -> float:
    return sum(alpha[name] ** 2 * risk for name, risk in risks.items())


@settings(deadline=None)
@given(many_risks)
def test_theorem_alpha_lies_on_the_simplex_inverse_to_the_risks(risks: dict[str, float]) -> None:
    alpha = theorem_alpha(risks)
    assert math.isclose(sum(alpha.values()), 1)
    products = [alpha[name] * risk for name, risk in risks.items()]
    assert all(math.isclose(product, products[0]) for product in products)


@settings(deadline=None)
@given(many_risks, st.data())
def test_no_other_weights_have_a_lower_bound(risks: dict[str, float], data: st.DataObject) -> None:
    other = {name: data.draw(positive) for name in risks}
    total = sum(other.values())
    other = {name: weight / total for name, weight in other.items()}
    assert weighted(theorem_alpha(risks), risks) <= weighted(other, risks) * (1 + 1e-9)


@pytest.mark.parametrize(
    "risks", [{"a": 1.0, "b": 1.0}, {"a": 0.4, "b": 0.6, "c": 0.75}, {"a": 0.01, "b": 0.08}, {"a": 7.0}]
)
def test_descending_the_bound_reaches_theorem_1(risks: dict[str, float]) -> None:
    alpha = Alpha(list(risks))
    descend(alpha, risks)
    assert alpha.values() == pytest.approx(theorem_alpha(risks), abs=0.01)


def test_a_hostile_source_gets_almost_nothing() -> None:
    risks = {"market1501": 0.5, "cuhk03": 0.6, "hostile": 50.0}
    alpha = Alpha(list(risks))
    descend(alpha, risks)
    assert alpha.values()["hostile"] < 0.02
    assert min(alpha.values()["market1501"], alpha.values()["cuhk03"]) > 0.4


def test_the_bound_is_the_sum_of_squares_times_risks() -> None:
    alpha = Alpha(["a", "b"])
    alpha.fit({"a": 1.0, "b": 3.0})
    assert alpha.bound({"b": 3.0, "a": 1.0}).item() == pytest.approx(0.75**2 + 0.25**2 * 3)


@settings(deadline=None)
@given(many_risks)
def test_fit_sets_theorem_1(risks: dict[str, float]) -> None:
    alpha = Alpha(list(risks))
    alpha.fit(risks)
    assert alpha.values() == pytest.approx(theorem_alpha(risks), rel=1e-4, abs=1e-7)


def test_uniform_stays_uniform_and_has_nothing_to_learn() -> None:
    alpha = Alpha(["a", "b", "c", "d"], mode="uniform")
    assert not list(alpha.parameters())
    assert set(alpha.values().values()) == {0.25}
    assert not alpha.bound(dict.fromkeys("abcd", 1.0)).requires_grad
    with pytest.raises(BadArgument, match="weights are fixed"):
        alpha.fit(dict.fromkeys("abcd", 1.0))


@pytest.mark.parametrize("sources", [[], ["a", "a"], "duke"])
def test_unusable_sources_are_refused(sources: list[str]) -> None:
    with pytest.raises(BadArgument, match="sources"):
        Alpha(sources)


def test_an_unknown_mode_is_told_with_the_allowed_ones() -> None:
    with pytest.raises(BadArgument, match="alpha = 'fixed': allowed are 'learned', 'bound', 'uniform'"):
        Alpha(["a"], mode="fixed")  # what a configuration file may hold


@pytest.mark.parametrize("risk", [0.0, -1.0, math.nan, math.inf])
def test_a_risk_that_is_not_positive_and_finite_is_refused(risk: float) -> None:
    risks = {"a": 1.0, "b": risk}
    for use in (theorem_alpha, Alpha(["a", "b"]).bound, Alpha(["a", "b"]).fit):
        with pytest.raises(BadArgument, match="risk of 'b'"):
            use(risks)


def test_risks_of_other_sources_are_refused() -> None:
    for use in (Alpha(["a", "b"]).bound, Alpha(["a", "b"]).fit):
        with pytest.raises(BadArgument, match=r"risks: missing \['b'\], unknown \['c'\]"):
            use({"a": 1.0, "c": 1.0})
    with pytest.raises(BadArgument, match="at least one source"):
        theorem_alpha({})
