"""Speed: every contender in turn, again and again; each is as fast as its fastest run."""

import os
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from codec.roster import EFFORTS, iso
from codec.schemes.base import Scheme
from codec.schemes.integers import DEAD_ZONE, RoundedZlib, RoundedZstd, narrowest, to_integers
from codec.schemes.ours import Ours
from codec.schemes.peer import Peer
from codec.update import Update
from fedretina.dom import DomConfig
from fedretina.study.codecs import nncodec_is_available

ZLIB = "zlib-6 of the integers"
WHOLE_WAY = "rounding + zlib-6, the whole way"
ALL_CORES = "DoM {}, all cores"
_THREADS = "OMP_NUM_THREADS"
_NNCODEC_STEP = 1.0  # RMS: its error on a GPT is about .25 then


@dataclass(frozen=True)
class Lap:
    """A contender's fastest runs: MB/s of fp32 input, by the clock and by processor time of all threads."""

    label: str
    bpw: float
    encode: float
    decode: float
    encode_cpu: float
    decode_cpu: float


@dataclass(frozen=True)
class Contender:
    """What runs: `encode` returns what `decode` takes; with one thread, or with as many as it likes.

    `elsewhere`: in a process of its own, whose processor time is taken to be that of the clock.
    """

    label: str
    encode: Callable[[], Any]
    decode: Callable[[Any], Any]
    size: Callable[[Any], int]
    threads: int | None = 1
    elsewhere: bool = False


def race(update: Update, bits: int, *, rounds: int) -> list[Lap]:
    """Race zlib, ours and peers.

    zlib codes and decodes the ready integers in memory, in their narrowest type; all others go the whole way, from fp32
    models to fp32 models.
    """
    return laps(update, [*_zlibs(update, bits), *_ours(update, DomConfig(bits=bits)), *_peers(update)], rounds=rounds)


def on_a_gpt(update: Update) -> list[Contender]:
    """Return zlib with the step 10^-3, ours by default, and NNCodec's smallest mode where an interpreter has it."""
    found = [*_zlibs(update, 3), *_ours(update, DomConfig())]
    if nncodec_is_available():
        rival = _contender(iso("smallest", _NNCODEC_STEP * update.rms), update, label="NNCodec smallest")
        found.append(replace(rival, elsewhere=True))
    return found


def laps(update: Update, contenders: Sequence[Contender], *, rounds: int) -> list[Lap]:
    """Let all contenders run in turn, several times."""
    best: dict[str, list[float]] = {}
    sizes: dict[str, int] = {}
    for _ in range(rounds):
        for contender in contenders:
            with _threads(contender.threads):
                times, size = _run(contender)
            sizes[contender.label] = size
            best[contender.label] = [min(pair) for pair in zip(times, best.get(contender.label, times), strict=True)]
    return [
        Lap(label, update.bits_per_weight(sizes[label]), *(update.raw_bytes / 1e6 / seconds for seconds in times))
        for label, times in best.items()
    ]


def _run(contender: Contender) -> tuple[list[float], int]:
    start = time.perf_counter(), time.process_time()
    payload = contender.encode()
    middle = time.perf_counter(), time.process_time()
    contender.decode(payload)
    end = time.perf_counter(), time.process_time()
    clock = [middle[0] - start[0], end[0] - middle[0]]
    times = clock + (clock if contender.elsewhere else [middle[1] - start[1], end[1] - middle[1]])
    return [max(seconds, 1e-6) for seconds in times], contender.size(payload)


def _zlib(update: Update, bits: int) -> Contender:
    integers = [
        narrowest(to_integers(values, 10.0**-bits, dead_zone=DEAD_ZONE)).tobytes() for values in update.delta.values()
    ]
    return Contender(
        ZLIB,
        lambda: [zlib.compress(part, 6) for part in integers],
        lambda payload: [zlib.decompress(part) for part in payload],
        lambda payload: sum(map(len, payload)),
    )


def _zlibs(update: Update, bits: int) -> list[Contender]:
    return [_zlib(update, bits), _contender(RoundedZlib(10.0**-bits), update, label=WHOLE_WAY)]


def _ours(update: Update, config: DomConfig) -> Iterator[Contender]:
    for effort in EFFORTS:
        scheme = Ours("DoM", f"DoM {effort}", replace(config, effort=effort))
        yield _contender(scheme, update)
        if effort != "small" and (os.cpu_count() or 1) > 1:
            yield _contender(scheme, update, label=ALL_CORES.format(effort), threads=None)


def _peers(update: Update) -> Iterator[Contender]:
    peers: list[Scheme] = [
        *(Peer.of(name, name) for name in ("fp16", "int8", "nf4", "sign")),
        Peer.of("blockwise int8", "int8-blocks", block=64),
        Peer.of("top-k", "topk", share=0.01),
        Peer.of("STC", "stc", share=0.01),
        Peer.of("QSGD", "qsgd", bits=4),
        Peer.of("SparseLoCo", "sparseloco", k=64),
        Peer.of("PowerSGD", "powersgd", rank=2),
    ]
    if RoundedZstd.is_available():
        peers.append(RoundedZstd(1e-3))
    for scheme in peers:
        label = scheme.family if scheme.family == scheme.label else f"{scheme.family}, {scheme.label}"
        yield _contender(scheme, update, label=label)


def _contender(scheme: Scheme, update: Update, *, label: str = "", threads: int | None = 1) -> Contender:
    return Contender(
        label or scheme.label,
        lambda: scheme.encode(update),
        lambda payload: scheme.decode(payload, update.base),
        lambda payload: sum(map(len, payload)),
        threads,
    )


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """Tell numerical libraries how many threads to use, by the variable that fedretina.dom heeds too."""
    before: Mapping[str, str] = dict(os.environ)
    os.environ.pop(_THREADS, None)
    if count is not None:
        os.environ[_THREADS] = str(count)
    try:
        yield
    finally:
        os.environ.pop(_THREADS, None)
        if _THREADS in before:
            os.environ[_THREADS] = before[_THREADS]
