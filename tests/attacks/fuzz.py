"""A fuzzer for payloads: mutates golden files and its corpus, mends the check sum, and decodes.

    PYTHONPATH=tests python tests/attacks/fuzz.py [--minutes 60] [--seed 0]

Any exception that is none of ours stops it and is written beside the corpus; so does a decoder that takes more than
`SECONDS` or `MEGABYTES`. An input that ends in an error nobody has met yet (its words, numbers left out) joins the
corpus, if that is small enough; `test_corpus.py` decodes it in every run of the tests.
"""

import argparse
import re
import resource
import time
import zlib
from dataclasses import replace
from pathlib import Path

import msgpack
import numpy as np

from fedretina.dom import decode, encode
from fedretina.dom.format.envelope import read_envelope, write_envelope
from fedretina.errors import FedRetinaError, UnknownBase
from golden import CONFIGS, FIXTURE, exact_models, low_rank_models, models, small_models

CORPUS = Path(__file__).parent / "corpus"
SECONDS, MEGABYTES = 20, 1024
LARGEST, MOST = 2_000, 120  # bytes of an input that is kept, inputs

INTERESTING = [0, 1, -1, 127, 128, 255, 2**15, 2**16, 2**19, 2**31, 2**33, 2**60, 2**63 - 1, None, True, b"", "", [], 0.5]


def bases() -> list[dict | None]:
    """The golden files' base, a few small tensors of it, the bases of what is predicted, tied and lossless, and none."""
    base = models()[0]
    few = {name: base[name][:40] for name in ("layer.bias", "half", "double")}
    return [base, few, low_rank_models()[0], small_models()[0], exact_models()[0], None]


def small_payloads() -> list[bytes]:
    """Payloads small enough to be kept."""
    base = bases()[1]
    new = {name: array * 1.25 for name, array in base.items()} | {"n": np.arange(9)}
    return [encode(new, base=base, config=config) for config in CONFIGS.values() if config.budget_bytes is None]


def outcome(payload: bytes, helds: list[dict | None]) -> str:
    """Decode, and say in which words it ended; anything but success or an error of ours is raised."""
    words = ""
    for held in helds:
        try:
            decode(payload, base=held, max_bytes=2**24, threads=1)
        except FedRetinaError as error:
            if words and isinstance(error, UnknownBase):
                continue  # the base that it builds on says more
            words = f"{type(error).__name__}: {re.sub(r'[0-9a-f]{8}|[0-9]+', '#', str(error))[:90]}"
        else:
            return "decoded"
    return words


def mutated(payload: bytes, rng: np.random.Generator) -> bytes:
    """Change a payload at its envelope, its header's columns, its header's bytes or its body."""
    try:
        envelope = read_envelope(payload)
    except FedRetinaError:
        return noisy(payload, rng)
    where = rng.integers(5)
    if where == 0:
        return noisy(payload, rng)
    if where == 1:
        return write_envelope(replace(envelope, header=noisy(envelope.header, rng)))
    if where == 2:
        return write_envelope(replace(envelope, body=noisy(envelope.body, rng)))
    if where == 3:
        flags = {"lattice": not envelope.lattice, "lossless": not envelope.lossless, "base": None}
        return write_envelope(replace(envelope, **{key: flags[key] for key in flags if rng.random() < 0.5}))
    try:
        compressed = envelope.version > 1
        columns = msgpack.unpackb(zlib.decompress(envelope.header) if compressed else envelope.header)
        change_nested(columns, rng)
        header = msgpack.packb(columns)
        return write_envelope(replace(envelope, header=zlib.compress(header) if compressed else header))
    except (ValueError, TypeError, OverflowError, zlib.error):
        return noisy(payload, rng)


def noisy(data: bytes, rng: np.random.Generator) -> bytes:
    noisy = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        at = int(rng.integers(len(noisy) + 1))
        kind = rng.integers(4)
        if kind == 0 and at < len(noisy):
            noisy[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            noisy[at:at] = rng.bytes(int(rng.integers(1, 9)))
        elif kind == 2:
            del noisy[at : at + int(rng.integers(1, 9))]
        else:
            noisy[at : at + 4] = rng.bytes(4)
    return bytes(noisy)


def change_nested(part: list, rng: np.random.Generator) -> None:
    """Change one element somewhere in nested lists."""
    at = int(rng.integers(len(part) + 1))
    if at == len(part) or not part:
        part.insert(at, INTERESTING[rng.integers(len(INTERESTING))])
    elif isinstance(part[at], list) and part[at] and rng.random() < 0.8:
        change_nested(part[at], rng)
    elif isinstance(part[at], bytes) and part[at] and rng.random() < 0.8:
        part[at] = noisy(part[at], rng)
    elif isinstance(part[at], int) and rng.random() < 0.5:
        part[at] += int(rng.integers(-3, 4))
    elif rng.random() < 0.2:
        del part[at]
    else:
        part[at] = INTERESTING[rng.integers(len(INTERESTING))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    rng = np.random.default_rng(asked.seed)
    CORPUS.mkdir(exist_ok=True)
    helds = bases()
    pool = [path.read_bytes() for path in sorted([*FIXTURE.glob("*.dom"), *CORPUS.glob("*.dom")])]
    pool += small_payloads()
    known = {outcome(payload, helds) for payload in pool}
    end, count, shown = time.monotonic() + 60 * asked.minutes, 0, 0.0
    while time.monotonic() < end:
        payload = pool[rng.integers(len(pool))]
        for _ in range(rng.integers(1, 4)):
            payload = mutated(payload, rng)
        (CORPUS / "last.bin").write_bytes(payload)
        start = time.process_time()
        found = outcome(payload, helds)
        assert time.process_time() - start < SECONDS, "a payload takes too long: see corpus/last.bin"
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        assert grown < MEGABYTES, f"decoding took {grown:.0f} MB: see corpus/last.bin"
        count += 1
        if found not in known:
            known.add(found)
            pool.append(payload)
            if len(payload) <= LARGEST and len(list(CORPUS.glob("*.dom"))) < MOST:
                (CORPUS / f"{len(known):03d}.dom").write_bytes(payload)
        if time.monotonic() > shown + 60:
            shown = time.monotonic()
            print(f"{count} payloads, {len(known)} outcomes, {end - shown:.0f} s left, {grown:.0f} MB", flush=True)
    (CORPUS / "last.bin").unlink(missing_ok=True)
    print(f"{count} payloads, {len(known)} different outcomes, no other exception")


if __name__ == "__main__":
    main()
