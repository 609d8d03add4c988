"""What nodes hold: added up, replaced, kept."""

from hypothesis import given
from hypothesis import strategies as st

from fedretina.flower.acknowledgements import Acknowledgements

DIGESTS = st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=3)


def test_what_a_node_holds_adds_up_until_it_is_replaced():
    acknowledgements = Acknowledgements()
    acknowledgements.add(7, {"a": "1", "b": "2"})
    acknowledgements.add(7, {"a": "3"})
    assert acknowledgements.snapshot() == {7: {"a": "3", "b": "2"}}
    acknowledgements.replace(7, {"b": "4"})
    assert (acknowledgements.version(7, "a"), acknowledgements.version(7, "b")) == (None, "4")


def test_a_snapshot_is_a_copy():
    acknowledgements = Acknowledgements()
    acknowledgements.add(7, {"a": "1"})
    acknowledgements.snapshot()[7]["a"] = "2"
    assert acknowledgements.version(7, "a") == "1"


@given(st.dictionaries(st.integers(0, 2**64), DIGESTS, max_size=3))
def test_the_state_comes_back(by_node):
    acknowledgements = Acknowledgements()
    for node, digests in by_node.items():
        acknowledgements.add(node, digests)
    assert Acknowledgements.from_json(acknowledgements.to_json()) == acknowledgements
