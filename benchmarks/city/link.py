"""The network between the machines: forwards packets between TUN devices with a rate, a delay and losses.

    python link.py DEVICE=ADDRESS ... COUNTS

The kernel's `tc netem` does the same where it is compiled in; kernels of containers often lack it. Each machine has one link
of `RATE` in each direction. A packet waits for the link to be free, then `DELAY_S`; more than `QUEUE_S` of waiting drops it.
Lines on standard input: ``cut ADDRESS`` and ``mend ADDRESS``. The bytes of each machine are written to COUNTS each second.
"""

import fcntl
import heapq
import json
import os
import random
import select
import socket
import struct
import sys
import time
from collections import defaultdict
from pathlib import Path

RATE = 20e6
"""Bits per second, each way."""
DELAY_S = 0.02
"""One way."""
LOSS = 0.01
"""Share of the packets that are lost, each way."""
QUEUE_S = 0.2
MTU = 1500
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000


class Network:
    """All links; `packets` is a queue of (time of arrival, number, address, packet)."""

    def __init__(self, devices: dict[str, int]) -> None:
        self.devices = devices
        self.packets: list[tuple[float, int, str, bytes]] = []
        self.free: dict[tuple[str, str], float] = defaultdict(float)
        self.counts: dict[str, dict[str, int]] = {address: {"up": 0, "down": 0, "lost": 0} for address in devices}
        self.cut: set[str] = set()
        self.number, self.random = 0, random.Random(0)

    def take(self, packet: bytes, now: float) -> None:
        """Take a packet from a machine: it passes the sender's link up, then the receiver's link down."""
        if packet[0] >> 4 != 4:
            return
        source, target = socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20])
        if target not in self.devices or source not in self.devices:
            return
        self.counts[source]["up"] += len(packet)
        arrival = now
        for link in ((source, "up"), (target, "down")):
            begin = max(self.free[link], arrival)
            if begin - arrival > QUEUE_S or self.random.random() < LOSS / 2 or {source, target} & self.cut:
                self.counts[source]["lost"] += 1
                return
            self.free[link] = begin + 8 * len(packet) / RATE
            arrival = self.free[link] + DELAY_S / 2
        self.number += 1
        heapq.heappush(self.packets, (arrival, self.number, target, packet))

    def deliver(self, now: float) -> None:
        """Give the packets that have arrived to their machines."""
        while self.packets and self.packets[0][0] <= now:
            _, _, target, packet = heapq.heappop(self.packets)
            self.counts[target]["down"] += len(packet)
            os.write(self.devices[target], packet)

    def wait_s(self, now: float) -> float:
        return min(0.5, max(0.0, self.packets[0][0] - now)) if self.packets else 0.5


def open_device(name: str) -> int:
    """Make a TUN device; moved into a namespace, it still belongs to this process."""
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TUN | _IFF_NO_PI))
    return device


def main(arguments: list[str]) -> None:
    *pairs, counts = arguments
    devices = {address: open_device(name) for name, _, address in (pair.partition("=") for pair in pairs)}
    network, written = Network(devices), 0.0
    print("ready", flush=True)
    while True:
        ready, _, _ = select.select([sys.stdin, *devices.values()], [], [], network.wait_s(time.monotonic()))
        for source in ready:
            if source is sys.stdin:
                words = sys.stdin.readline().split()
                if not words:
                    return
                (network.cut.add if words[0] == "cut" else network.cut.discard)(words[1])
                continue
            for _ in range(64):
                try:
                    network.take(os.read(source, 65536), time.monotonic())
                except BlockingIOError:
                    break
        now = time.monotonic()
        network.deliver(now)
        if now - written > 1:
            Path(counts).write_text(json.dumps(network.counts))
            written = now


if __name__ == "__main__":
    main(sys.argv[1:])
