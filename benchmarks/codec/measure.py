"""One scheme on one update: its size, its error, its time."""

import time
from dataclasses import dataclass

from codec.schemes.base import Scheme
from codec.update import Update


@dataclass(frozen=True)
class Point:
    """What a scheme did: `size` in bytes, `error` over matrices, seconds of one run."""

    family: str
    label: str
    size: int
    bpw: float
    error: float
    encode_s: float
    decode_s: float


def measure(scheme: Scheme, update: Update) -> Point:
    """Send an update once; a scheme that runs elsewhere says itself how long that took."""
    start = time.perf_counter()
    payload = scheme.encode(update)
    encoded = time.perf_counter()
    decoded = scheme.decode(payload, update.base)
    done = time.perf_counter()
    size = sum(map(len, payload))
    return Point(
        family=scheme.family,
        label=scheme.label,
        size=size,
        bpw=update.bits_per_weight(size),
        error=update.error(decoded),
        encode_s=scheme.encode_s or encoded - start,
        decode_s=scheme.decode_s or done - encoded,
    )
