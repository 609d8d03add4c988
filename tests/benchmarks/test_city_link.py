"""The network of the benchmark of a city: rate, delay, losses and cuts, without devices."""

import importlib.util
import os
import socket
from pathlib import Path

import pytest

FILE = Path(__file__).parents[2] / "benchmarks" / "city" / "link.py"
spec = importlib.util.spec_from_file_location("city_link", FILE)
link = importlib.util.module_from_spec(spec)
spec.loader.exec_module(link)
A, B = "10.77.0.1", "10.77.0.2"


def packet(source=A, target=B, size=1500):
    return bytes([0x45]) + bytes(11) + socket.inet_aton(source) + socket.inet_aton(target) + bytes(size - 20)


@pytest.fixture
def network(monkeypatch):
    monkeypatch.setattr(link, "LOSS", 0.0)
    return link.Network({A: -1, B: -1})


def test_packets_take_delay_and_rate(network):
    for _ in range(2):
        network.take(packet(), 0.0)
    each = 1500 * 8 / link.RATE
    assert [arrival for arrival, *_ in sorted(network.packets)] == pytest.approx(
        [link.DELAY_S + 2 * each, link.DELAY_S + 3 * each]
    )
    assert network.wait_s(0.0) == pytest.approx(link.DELAY_S + 2 * each)


def test_a_queue_that_is_full_drops(network):
    for _ in range(400):
        network.take(packet(), 0.0)
    assert network.counts[A]["lost"] > 0
    assert max(arrival for arrival, *_ in network.packets) < link.QUEUE_S + link.DELAY_S + 0.01


def test_a_share_of_packets_is_lost(network, monkeypatch):
    monkeypatch.setattr(link, "LOSS", 0.01)
    for second in range(5000):
        network.take(packet(), float(second))
    assert 20 < network.counts[A]["lost"] < 90


def test_a_cut_link_carries_nothing_until_it_is_mended(network):
    network.cut.add(B)
    network.take(packet(), 0.0)
    network.take(packet(B, A), 0.0)
    assert not network.packets
    network.cut.discard(B)
    network.take(packet(), 0.0)
    assert len(network.packets) == 1


def test_other_packets_are_ignored(network):
    network.take(packet(target="192.168.1.1"), 0.0)
    network.take(b"\x60" + bytes(60), 0.0)
    assert not network.packets
    assert network.counts[A]["up"] == 0


def test_arrived_packets_are_delivered_and_counted(monkeypatch):
    read, write = os.pipe()
    monkeypatch.setattr(link, "LOSS", 0.0)
    network = link.Network({A: -1, B: write})
    network.take(packet(), 0.0)
    network.deliver(0.001)
    assert network.counts[B]["down"] == 0
    network.deliver(1.0)
    assert os.read(read, 2000) == packet()
    assert network.counts[B]["down"] == 1500
    os.close(read)
    os.close(write)
