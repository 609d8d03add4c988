"""Headers come back as they went, and nonsense is refused by a known name."""

import pytest
from flwr.app import ConfigRecord
from hypothesis import given
from hypothesis import strategies as st

from fedretina.dom import DomConfig
from fedretina.errors import Corrupt
from fedretina.flower.header import Down, Up

TEXTS = st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3)
ORDERS = st.dictionaries(st.text(max_size=5), st.lists(st.integers(0, 9), max_size=3), max_size=3)
TIMES = st.dictionaries(st.text(max_size=5), st.floats(0, 9), max_size=3)


@given(TEXTS, ORDERS, TEXTS, st.sampled_from([None, DomConfig(), DomConfig(bits=4, dead_zone=0.2)]), st.booleans())
def test_down_comes_back(bases, orders, have, config, feedback):
    same = dict.fromkeys(orders, "x")
    down = Down(
        config=config, uplink="stream", streams=same, digests=same, bases=bases, orders=orders, have=have, feedback=feedback
    )
    assert Down.read(down.record()) == down


@given(TEXTS, TEXTS, ORDERS, TIMES)
def test_up_comes_back(holds, lacking, orders, times):
    up = Up(holds=holds, lacking=lacking, streams=dict.fromkeys(orders, ""), orders=orders, encode_s=times, decode_s=times)
    assert Up.read(up.record()) == up


@given(st.text(max_size=30))
def test_nonsense_is_corrupt(text):
    for kind, reader in (("down", Down), ("up", Up)):
        with pytest.raises(Corrupt):
            reader.read(ConfigRecord({kind: text}))


def test_an_unknown_uplink_is_corrupt():
    down = Down(config=DomConfig(), uplink="pigeon", streams={}, bases={}, digests={}, orders={}, have={})
    with pytest.raises(Corrupt, match="pigeon"):
        Down.read(down.record())


@pytest.mark.parametrize("without", ["streams", "digests", "orders"])
def test_a_header_that_forgets_a_model_is_corrupt(without):
    told = {"streams": {"a": "a"}, "digests": {"a": "d"}, "orders": {"a": [0]}} | {without: {}}
    down = Down(config=DomConfig(), uplink="one-shot", bases={}, have={}, **told)
    with pytest.raises(Corrupt, match="each of its models"):
        Down.read(down.record())
