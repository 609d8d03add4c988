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


@given(TEXTS, TEXTS, ORDERS, TEXTS)
def test_down_comes_back(streams, bases, orders, have):
    down = Down(config=DomConfig(bits=4), uplink="stream", streams=streams, bases=bases, orders=orders, have=have)
    assert Down.read(down.record()) == down


@given(TEXTS, st.lists(st.text(max_size=5), max_size=3), ORDERS, TIMES)
def test_up_comes_back(holds, lacking, orders, times):
    up = Up(holds=holds, lacking=tuple(lacking), orders=orders, encode_s=times, decode_s=times)
    assert Up.read(up.record()) == up


@given(st.text(max_size=30))
def test_nonsense_is_corrupt(text):
    for kind, reader in (("down", Down), ("up", Up)):
        with pytest.raises(Corrupt):
            reader.read(ConfigRecord({kind: text}))


def test_an_unknown_uplink_is_corrupt():
    down = Down(config=DomConfig(), uplink="pigeon", streams={}, bases={}, orders={}, have={})
    with pytest.raises(Corrupt, match="pigeon"):
        Down.read(down.record())
