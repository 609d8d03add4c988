"""The choice of peers: by what is known, within the budget, and the same on every machine."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedretina.errors import BadArgument
from fedretina.strategies.selection import POLICIES, Budget, Evidence, choose

NAMES = [f"domain{number}" for number in range(12)]
evidences = st.fixed_dictionaries(
    {},
    optional={
        name: st.builds(
            Evidence,
            transfer_bytes=st.integers(0, 100),
            distance=st.none() | st.floats(allow_nan=True),
            score=st.none() | st.floats(allow_nan=True),
            risks=st.lists(st.floats(0, 1), max_size=3).map(tuple),
            gain=st.none() | st.floats(allow_nan=True),
        )
        for name in NAMES
    },
)


@given(known=evidences, policy=st.sampled_from(sorted(POLICIES)), limit=st.integers(1, 300), peers=st.integers(1, 12))
def test_every_choice_is_within_the_budget_and_uses_it(known, policy, limit, peers):
    chosen = choose("domain0", NAMES, known, Budget(transfer_bytes=limit, peers=peers), policy=policy)
    cost = {name: known.get(name, Evidence()).transfer_bytes for name in NAMES}
    assert "domain0" not in chosen
    assert len(set(chosen)) == len(chosen) <= peers
    spent = sum(cost[name] for name in chosen)
    assert spent <= limit
    if len(chosen) < peers:
        assert all(cost[name] > limit - spent for name in NAMES[1:] if name not in chosen)


@given(known=evidences, policy=st.sampled_from(sorted(POLICIES)), order=st.permutations(NAMES))
def test_the_order_of_the_candidates_changes_nothing(known, policy, order):
    budget = Budget(peers=4)
    assert choose("t", order, known, budget, policy=policy) == choose("t", NAMES, known, budget, policy=policy)


@pytest.mark.parametrize(
    ("policy", "field", "best"), [("nearest", "distance", 0), ("score", "score", 3), ("oracle", "gain", 3)]
)
def test_each_policy_ranks_by_its_evidence_and_puts_the_unknown_last(policy, field, best):
    known = {f"domain{number}": Evidence(**{field: float(number)}) for number in range(4)}
    chosen = choose("t", [*NAMES[:4], "unknown"], known, Budget(), policy=policy)
    assert chosen[0] == f"domain{best}"
    assert chosen[-1] == "unknown"


def test_random_choices_differ_by_target_and_round_and_repeat_with_the_seed():
    def chosen(target, round_number, seed=0):
        return tuple(choose(target, NAMES, {}, Budget(peers=3), policy="random", seed=seed, round_number=round_number))

    assert chosen("a", 1) == chosen("a", 1)
    assert len({chosen("a", 1), chosen("a", 2), chosen("b", 1), chosen("a", 1, seed=1)}) == 4


def test_the_bound_tries_everybody_once_and_then_mostly_the_best():
    rng = np.random.default_rng(0)
    true = {name: 0.3 + 0.05 * number for number, name in enumerate(NAMES)}
    tried = dict.fromkeys(NAMES, ())
    for round_number in range(60):
        known = {name: Evidence(risks=risks) for name, risks in tried.items()}
        (name,) = choose("t", NAMES, known, Budget(peers=1), policy="bound", round_number=round_number)
        tried[name] += (float(np.clip(true[name] + rng.normal(scale=0.05), 0, 1)),)
        if round_number == len(NAMES) - 1:
            assert all(len(risks) == 1 for risks in tried.values())
    counts = [len(tried[name]) for name in NAMES]
    assert sum(counts[:4]) > sum(counts[4:])
    assert min(counts) >= 1


def test_what_is_unknown_or_impossible_is_refused():
    with pytest.raises(BadArgument, match="policy = 'best': allowed are 'all', 'random'"):
        choose("t", NAMES, {}, Budget(), policy="best")
    with pytest.raises(BadArgument, match="peers = 0: give 1 or more"):
        Budget(peers=0)
    with pytest.raises(BadArgument, match="transfer_bytes = -1: give the size"):
        Evidence(transfer_bytes=-1)


def test_what_nothing_is_known_of_comes_in_the_order_of_its_sketches():
    known = {name: Evidence(distance=float(12 - number)) for number, name in enumerate(NAMES)}
    known[NAMES[0]] = Evidence(score=1.0, distance=99.0)
    assert choose("t", NAMES, known, Budget(peers=3), policy="score") == [NAMES[0], NAMES[11], NAMES[10]]
    assert choose("t", NAMES[1:], known, Budget(peers=2), policy="bound") == [NAMES[11], NAMES[10]]


def test_the_bound_guesses_a_risk_from_those_at_a_similar_distance():
    known = {f"near{i}": Evidence(distance=10.0 + i, risks=(0.2,)) for i in range(3)}
    known |= {f"far{i}": Evidence(distance=90.0 + i, risks=(0.8,)) for i in range(3)}
    known |= {"new near": Evidence(distance=11.5), "new far": Evidence(distance=91.5)}
    ranked = choose("t", list(known), known, Budget(), policy="bound")
    assert set(ranked[:4]) == {"near0", "near1", "near2", "new near"}
    assert "new far" in ranked[4:]
