"""Seconds that a server needs to relay a stream: `python benchmarks/relay.py --megabytes 100 --versions 100 --nodes 10`.

Every version goes to every node, each of which holds the version before. All servers relay the same bytes:

- "decodes first" (`Stream.accept`): decodes each payload once, checks its digest, and stores the version;
- "relays first" (`Stream.relay`): decodes only when too many payloads wait, as `DomGrid` does;
- "never decodes" (`PayloadLog`): reads envelopes only, and cannot make exact skips.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from fedretina.dom import DomConfig, Model, PayloadLog, ReferenceStore, Stream

_CONFIG = DomConfig(lattice=True, effort="fast")
_SIDE = 512  # rows and columns of a tensor: 1 MiB of float32


def models(megabytes: int, versions: int) -> Iterator[Model]:
    """Yield versions of a model as training makes them, from seed 0; `megabytes` is the size of one, in MiB."""
    rng = np.random.default_rng(0)
    model = {f"layer{i}": rng.standard_normal((_SIDE, _SIDE), np.float32) for i in range(megabytes)}
    for _ in range(versions):
        yield dict(model)
        model = {name: array + 1e-3 * rng.standard_normal(array.shape, np.float32) for name, array in model.items()}


def payloads(folder: Path, megabytes: int, versions: int) -> list[bytes]:
    """Return the payloads that a node publishes."""
    stream = _stream(folder)
    return [stream.publish(model).payload for model in models(megabytes, versions)]


def relay_decoded(folder: Path, published: Sequence[bytes], nodes: int) -> int:
    """Decode every payload, then relay it to every node; return the bytes that were relayed."""
    stream = _stream(folder)
    return sum(stream.route(link.base).size for link in map(stream.accept, published) for _ in range(nodes))


def relay_undecoded(folder: Path, published: Sequence[bytes], nodes: int) -> int:
    """Relay every payload to every node, and decode when too many wait; return the bytes that were relayed."""
    stream = _stream(folder)
    return sum(stream.route(link.base).size for link in map(stream.relay, published) for _ in range(nodes))


def relay_log(folder: Path, published: Sequence[bytes], nodes: int) -> int:
    """Relay every payload to every node from a log of files; return the bytes that were relayed."""
    log = PayloadLog("server", folder=folder)
    routes = (log.route(link.base) for link in map(log.append, published) for _ in range(nodes))
    return sum(route.size for route in routes if route is not None)


SERVERS: dict[str, Callable[[Path, Sequence[bytes], int], int]] = {
    "decodes first": relay_decoded,
    "relays first": relay_undecoded,
    "never decodes": relay_log,
}


def measure(megabytes: int, versions: int, nodes: int) -> dict[str, tuple[float, float, int]]:
    """Return for each server the seconds that passed, the seconds of processor time, and the bytes that were relayed."""
    measured = {}
    with tempfile.TemporaryDirectory() as name:
        published = payloads(Path(name) / "node", megabytes, versions)
        for server, relay in SERVERS.items():
            start, start_cpu = time.perf_counter(), time.process_time()
            size = relay(Path(name) / server, published, nodes)
            measured[server] = time.perf_counter() - start, time.process_time() - start_cpu, size
    return measured


def _stream(folder: Path) -> Stream:
    return Stream(folder.name, store=ReferenceStore(folder, max_bytes=2**28), config=_CONFIG)


def main() -> None:
    """Print a row for each kind of server."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("megabytes", 10), ("versions", 100), ("nodes", 10)):
        parser.add_argument(f"--{name}", type=int, default=value)
    arguments = parser.parse_args()
    for server, (seconds, cpu, size) in measure(arguments.megabytes, arguments.versions, arguments.nodes).items():
        print(f"{server:<14}  {seconds:7.2f} s  {cpu:7.2f} s of processor time  {size / 1e6:9.1f} MB relayed", flush=True)


if __name__ == "__main__":
    main()
