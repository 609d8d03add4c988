"""What it costs to have missed some versions of a stream, and that every route ends in the same bits."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from safetensors.numpy import load_file

from codec.update import Model, Update
from fedretina.dom import DomConfig, ReferenceStore, Stream, Version, accept, follow, publish

MISSED = (1, 2, 5, 10, 20)
_CONFIG = DomConfig(lattice=True)
_LOSSLESS = DomConfig(lattice=True, lossless=True)


@dataclass(frozen=True)
class Skip:
    """Bits per weight from `missed` versions ago to the newest.

    `chain`: all payloads that were missed. `offered`: the route that the stream offers, of `kind`. `lossy`: a fresh
    one-shot of the same error, whose bits are others: as if nobody had to hold the same.
    """

    missed: int
    kind: str
    chain: float
    offered: float
    lossy: float


@dataclass(frozen=True)
class History:
    """A stream's costs in bits per weight: the keyframe, the mean delta, the skips; and the number of routes taken."""

    keyframe: float
    delta: float
    skips: list[Skip]
    routes: int


def history(folder: Path) -> History:
    """Publish a folder's models as the versions of one stream, and take every route to the newest.

    Raises
    ------
    AssertionError
        If two routes end in different bits.
    """
    models = [load_file(file) for file in sorted(folder.glob("*.safetensors"))]
    with tempfile.TemporaryDirectory() as name:
        stream = Stream("trained", store=ReferenceStore(name), config=_CONFIG)
        versions, payloads = [], []
        for model in models:
            payloads.append(stream.publish(model).payload)
            assert stream.newest is not None
            versions.append(stream.newest)
        skips = [_skip(stream, versions, payloads, missed, models[-1]) for missed in MISSED if missed < len(versions)]
        routes = sum(_take_routes(stream, versions[at], payloads[at + 1 :]) for at in range(len(versions) - 1))
        assert follow(payloads, base=None) == versions[-1], "the keyframe's chain leads elsewhere"
    sizes = [len(payload) for payload in payloads]
    bits = 8 / Update("", models[0], models[0]).weights
    return History(bits * sizes[0], bits * sum(sizes[1:]) / (len(sizes) - 1), skips, routes + 1)


def _skip(stream: Stream, versions: Sequence[Version], payloads: Sequence[bytes], missed: int, model: Model) -> Skip:
    start = versions[-1 - missed]
    route = stream.route(start.digest)
    update = Update("", start.model, model)
    error = update.error(versions[-1].model)
    lossy = publish(model, base=start, config=DomConfig(relative_error=min(max(error, 1e-6), 0.99))).payload
    chain = sum(len(payload) for payload in payloads[len(payloads) - missed :])
    return Skip(missed, route.kind, *map(update.bits_per_weight, (chain, route.size, len(lossy))))


def _take_routes(stream: Stream, start: Version, missed: Sequence[bytes]) -> int:
    """Take all routes from a version: the chain, the one offered, a lossless delta. Return how many there were."""
    newest = stream.newest
    assert newest is not None
    exact = publish(newest.model, base=start, config=_LOSSLESS).payload
    ends = [follow(missed, base=start), follow(stream.route(start.digest).payloads, base=start), accept(exact, base=start)]
    assert all(end.digest == newest.digest for end in ends), f"from {start.digest[:8]} not all routes lead to the same bits"
    return len(ends)
