"""The simulation of large cities: where it can be checked by hand."""

import numpy as np
import pytest
from million_domains import Costs, Parameters, distinct, gossip_rounds, leaf, main, one_server, root, whole_models

COSTS = Costs(keyframe=100.0, delta=10.0, whole=1000.0, cpu_s=0.001)


def test_one_server_carries_a_payload_up_and_one_for_each_peer_down():
    of = Parameters(turns_a_day=86_400, peers=2, new_peers=0.5)
    load = one_server(3, of, COSTS)
    assert load.rate == pytest.approx(3 * (10 + 2 * 55))
    assert load.cores == pytest.approx(3 * 3 * 0.001)
    assert whole_models(3, of, COSTS).rate == pytest.approx(3 * 3 * 1000)


def test_a_tree_of_one_leaf_is_one_server_and_leaves_hardly_grow_with_the_city():
    of = Parameters()
    assert leaf(of.leaf_domains, of, COSTS) == one_server(of.leaf_domains, of, COSTS)
    assert root(of.leaf_domains, of, COSTS).rate == 0
    assert leaf(10**6, of, COSTS).rate < 2 * leaf(of.leaf_domains, of, COSTS).rate
    assert root(10**6, of, COSTS).rate < one_server(10**6, of, COSTS).rate


def test_distinct_is_the_expected_number():
    rng = np.random.default_rng(0)
    drawn = np.mean([len(set(rng.integers(50, size=80))) for _ in range(2000)])
    assert distinct(80, 50) == pytest.approx(drawn, rel=0.01)


def test_gossip_reaches_everybody_in_about_the_logarithm():
    assert gossip_rounds(2, 3, seed=0) == (1, 1)
    rounds, received = gossip_rounds(100, 3, seed=0)
    assert 4 <= rounds <= 10
    assert received >= 99


def test_the_page_is_marked_as_a_simulation(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["million_domains", "--docs", str(tmp_path), "--seeds", "1"])
    monkeypatch.setattr("million_domains.COUNTS", (1_000, 10_000))
    main()
    page = (tmp_path / "million-domains.md").read_text()
    assert "**A simulation**" in page
    assert "| 10,000 | the root of the tree |" in page
    assert (tmp_path / "million-domains.png").stat().st_size > 1000
