"""Measure the time of a server that relays a stream: `python benchmarks/relay.py --megabytes 10 --versions 100 --nodes 10`.

Every version goes to every node, each of which holds the version before. A server with a `Stream` decodes each payload once,
checks its digest and stores the version; a server with a `PayloadLog` reads envelopes only. Both relay the same bytes.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from fedretina.dom import DomConfig, Model, PayloadLog, ReferenceStore, Stream

_CONFIG = DomConfig(lattice=True, effort="fast")
_SIDE = 512  # of a tensor: 1 MiB of float32


def models(megabytes: int, versions: int) -> Iterator[Model]:
    """Yield versions of a model, each a small change of the one before, with a fixed seed."""
    rng = np.random.default_rng(0)
    model = {f"layer{i}": rng.standard_normal((_SIDE, _SIDE), np.float32) for i in range(megabytes)}
    for _ in range(versions):
        yield dict(model)
        model = {name: array + 1e-3 * rng.standard_normal(array.shape, np.float32) for name, array in model.items()}


def payloads(folder: Path, megabytes: int, versions: int) -> list[bytes]:
    """Return the payloads that the maker publishes."""
    stream = Stream("maker", store=ReferenceStore(folder, max_bytes=2**28), config=_CONFIG)
    return [stream.publish(model).payload for model in models(megabytes, versions)]


def relay_stream(folder: Path, published: Sequence[bytes], nodes: int) -> int:
    """Relay every payload to every node from a `Stream`; return the bytes that were relayed."""
    stream = Stream("server", store=ReferenceStore(folder, max_bytes=2**28), config=_CONFIG)
    return sum(stream.route(link.base).size for link in map(stream.accept, published) for _ in range(nodes))


def relay_log(folder: Path, published: Sequence[bytes], nodes: int) -> int:
    """Relay every payload to every node from a `PayloadLog`, kept as files; return the bytes that were relayed."""
    log = PayloadLog("server", folder=folder)
    routes = (log.route(link.base) for link in map(log.append, published) for _ in range(nodes))
    return sum(route.size for route in routes if route is not None)


def measure(megabytes: int, versions: int, nodes: int) -> dict[str, tuple[float, int]]:
    """Return the seconds and the relayed bytes of both servers."""
    measured = {}
    with tempfile.TemporaryDirectory() as name:
        published = payloads(Path(name) / "maker", megabytes, versions)
        for kind, relay in (("Stream", relay_stream), ("PayloadLog", relay_log)):
            start = time.perf_counter()
            size = relay(Path(name) / kind, published, nodes)
            measured[kind] = time.perf_counter() - start, size
    return measured


def main() -> None:
    """Print a row for each kind of server."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, value in (("megabytes", 10), ("versions", 100), ("nodes", 10)):
        parser.add_argument(f"--{name}", type=int, default=value)
    arguments = parser.parse_args()
    for kind, (seconds, size) in measure(arguments.megabytes, arguments.versions, arguments.nodes).items():
        print(f"{kind:<10}  {seconds:7.2f} s  {size / 1e6:9.1f} MB relayed")


if __name__ == "__main__":
    main()
