import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedretina.dom import Link
from fedretina.dom.versions.lineage import Lineage


def lineage(*steps):
    """Steps are "base>version:bytes"; a base of "" is none."""
    links = []
    for number, step in enumerate(steps):
        versions, _, size = step.partition(":")
        base, _, version = versions.partition(">")
        links.append(Link(number, base or None, version, bytes(int(size or 1)), lattice=False))
    return Lineage(links)


def numbers_of(links):
    return [link.number for link in links]


def test_a_plain_chain_in_any_order_of_files():
    chain = lineage("b>c:2", ">a:9", "a>b:3")
    assert chain.numbers == {"a": 0, "b": 1, "c": 2}
    assert chain.newest == ("c",)
    assert chain.costs == {"a": 9, "b": 12, "c": 14}
    assert numbers_of(chain.route("c")) == [1, 2, 0]
    assert (chain.forks, chain.back_links, chain.missing) == ((), (), {})


def test_a_skip_is_no_fork_and_wins_where_it_is_cheaper():
    chain = lineage(">a:9", "a>b:3", "b>c:3", "a>c:5")
    assert chain.numbers["c"] == 2
    assert (chain.newest, chain.forks) == (("c",), ())
    assert numbers_of(chain.route("c")) == [0, 3]
    assert chain.costs == {"a": 9, "b": 12, "c": 14}


def test_a_held_model_costs_nothing():
    chain = lineage(">a:9", "a>b:3", "b>c:3", ">b:0")
    assert numbers_of(chain.route("c")) == [3, 2]
    assert chain.numbers["b"] == 1


def test_forks_are_where_the_ways_part():
    chain = lineage(">a", "a>b", "b>c", "b>d", "a>c", "d>e")
    assert set(chain.newest) == {"c", "e"}
    assert chain.forks == ("b",)


def test_a_late_keyframe_is_no_fork():
    chain = lineage(">a:9", "a>b:3", "b>c:3", ">c:4")
    assert (chain.newest, chain.forks, chain.numbers["c"]) == (("c",), (), 2)
    assert numbers_of(chain.route("c")) == [3]


def test_what_is_missing_and_what_is_behind_it():
    chain = lineage(">a", "a>b", "x>c", "x>d", "c>e")
    assert {base: numbers_of(links) for base, links in chain.missing.items()} == {"x": [2, 3]}
    assert (chain.newest, chain.route("e")) == (("b",), [])
    assert set(chain.numbers) == set(chain.costs) == {"a", "b"}


def test_a_payload_that_changes_nothing_is_no_circle():
    chain = lineage(">a", "a>b", "b>b")
    assert (chain.newest, chain.back_links) == (("b",), ())


@pytest.mark.parametrize("order", [1, -1])
def test_a_circle_is_cut_where_it_leads_back(order):
    chain = lineage(*[">a", "a>b", "b>c", "c>a"][::order])
    assert chain.numbers == {"a": 0, "b": 1, "c": 2}
    assert [(link.base, link.digest) for link in chain.back_links] == [("c", "a")]


def test_circles_that_nothing_leads_to():
    chain = lineage("a>b", "b>a")
    assert (chain.numbers, chain.newest, chain.missing, chain.route("a")) == ({}, (), {}, [])


def test_a_long_chain_is_quick():
    chain = lineage(">0", *(f"{number}>{number + 1}" for number in range(1500)))
    assert (chain.newest, chain.costs["1500"], chain.forks) == (("1500",), 1501, ())


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["", *"abcdef"]), st.sampled_from("abcdef"), st.integers(0, 9)), max_size=14))
def test_any_graph(steps):
    chain = lineage(*(f"{base}>{version}:{size}" for base, version, size in steps))
    back_links = set(numbers_of(chain.back_links))
    for link in chain.links:
        if link.base in chain.numbers and link.digest != link.base and link.number not in back_links:
            assert chain.numbers[link.base] < chain.numbers[link.digest]
        if link.base is None or link.base in chain.costs:
            before = 0 if link.base is None else chain.costs[link.base]
            assert chain.costs[link.digest] <= before + len(link.payload)
    for version, cost in chain.costs.items():
        route = chain.route(version)
        assert sum(len(link.payload) for link in route) == cost
        assert [link.base for link in route] == [None, *(link.digest for link in route[:-1])]
    assert bool(chain.newest) == bool(chain.numbers)
    assert bool(chain.forks) <= (len(chain.newest) > 1)
