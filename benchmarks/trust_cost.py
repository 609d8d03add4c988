"""Measure what signing and sealing cost, and write docs/results/trust.md.

python benchmarks/trust_cost.py
"""

import argparse
import hashlib
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cryptography
import numpy as np
from numpy.typing import NDArray

from fedretina.dom import DomConfig, publish
from fedretina.reid import make_task
from fedretina.study import table
from fedretina.train import model_arrays
from fedretina.trust import RecipientKey, SealingKey, Signed, SigningKey, Statement, open_sealed, seal

PAGE = Path(__file__).parent.parent / "docs" / "results" / "trust.md"
SIZES = (1_000_000, 100_000_000)
RECIPIENTS = 3
REPEATS = 5
CODEC = DomConfig(relative_error=0.25, lattice=True)
"""As `simulations/duke_target` codes a stream."""

TEXT = """# What signatures and sealing cost

Written by `python benchmarks/trust_cost.py` (cryptography {version}, {machine}, load {load:.1f}); don't edit.

Smallest time of {repeats}, on one core. The bytes come in addition to the payload. A payload is sealed once for all of its
{recipients} recipients. Each recipient gets the body and its own stanza.

{table}

The smallest payloads are differences of a small network. For the network of `simulations/duke_target` one has {delta:.0f} kB
(relative error {error:g}, a Gaussian change). Its statement adds {statement} bytes, {share:.2f} %.

SHA-256 of the payload is the larger part of signing and checking. Opening needs the statement, so it is checked first.
"""


def milliseconds(action: Callable[[], object]) -> float:
    """Return the smallest time of an action."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return 1e3 * min(times)


def statement_of(payload: bytes) -> Statement:
    """Describe a payload as a domain does before it signs."""
    sha = hashlib.sha256(payload).digest()
    now = int(time.time())
    return Statement("duke", 7, bytes(32), bytes(32), len(payload), sha, 4 * len(payload), now, now + 86_400)


def rows_of(size: int) -> list[list[str]]:
    """Measure one size of payload."""
    payload = os.urandom(size)
    rows = []
    for algorithm in ("ed25519", "ml-dsa-65"):
        key = SigningKey.generate(algorithm)
        signed = statement_of(payload).sign([key])
        sign = milliseconds(lambda: statement_of(payload).sign([key]))  # noqa: B023
        check = milliseconds(lambda: _check(signed, key, payload))  # noqa: B023
        rows.append([f"{size / 1e6:.0f} MB", f"sign, {algorithm}", str(len(signed)), f"{sign:.1f}"])
        rows.append(["", f"check, {algorithm}", "", f"{check:.1f}"])
    for kem in ("x25519", "x25519-ml-kem-768"):
        rows += _sealing_rows(payload, signed, [SealingKey.generate(kem) for _ in range(RECIPIENTS)], kem)
    return rows


def _sealing_rows(payload: bytes, signed: bytes, keys: list[SealingKey], kem: str) -> list[list[str]]:
    recipients: list[RecipientKey] = [key.public for key in keys]
    sealed = seal(payload, recipients, signed)
    stanza = sealed.stanzas[recipients[0].id]
    spent = milliseconds(lambda: seal(payload, recipients, signed))
    opened = milliseconds(lambda: open_sealed(sealed.body, stanza, keys[0], signed, length=len(payload)))
    added = f"{len(sealed.body) - len(payload)}, and {len(stanza)} a recipient"
    return [["", f"seal, {kem}", added, f"{spent:.1f}"], ["", f"open, {kem}", "", f"{opened:.1f}"]]


def _check(signed: bytes, key: SigningKey, payload: bytes) -> None:
    found = Signed.from_bytes(signed)
    Statement.from_body(found.require({key.public.id: key.public}, 1)).check_payload(payload)


def small_delta() -> bytes:
    """Return a difference of the small network of `duke_target`: every weight of it changed by a Gaussian."""
    task, rng = make_task(["duke"], ["msmt17"], models={"": "small"}), np.random.default_rng(0)
    before = model_arrays(task.model("duke", 200))
    after = {name: value + _change(value, rng) for name, value in before.items()}
    first = publish(before, base=None, config=CODEC)
    return publish(after, base=first.version, config=CODEC).payload


def _change(value: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    change = 0.01 * rng.normal(size=value.shape) if value.dtype.kind == "f" else np.zeros(value.shape)
    return change.astype(value.dtype)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--page", type=Path, default=PAGE)
    options = parser.parse_args()
    rows = [row for size in SIZES for row in rows_of(size)]
    delta = small_delta()
    statement = len(statement_of(delta).sign([SigningKey.generate()]))
    options.page.write_text(
        TEXT.format(
            version=cryptography.__version__,
            machine=platform.machine(),
            load=os.getloadavg()[0],
            repeats=REPEATS,
            recipients=RECIPIENTS,
            delta=len(delta) / 1e3,
            error=CODEC.relative_error,
            statement=statement,
            share=100 * statement / len(delta),
            table=table(["payload", "", "bytes", "milliseconds"], rows).rstrip("\n"),
        ),
        "utf-8",
    )


if __name__ == "__main__":
    main()
