"""A fuzzer for trust: roots, statements, lists of newest versions, acknowledgements, enrolment files.

It also runs `fuzz_seals`: sealed payloads, their stanzas, and what headers and files say of them.

    PYTHONPATH=tests/trust python tests/attacks/fuzz_trust.py [--minutes 60] [--seed 0]

It changes bytes of signed documents, and fields of their bodies, which it signs anew with the right keys: the owner of a key
may be the attacker. Any exception that is none of ours stops it.
"""

import argparse
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgpack

from city import NOW, City
from fedretina.city import Invitation, Request, make_request
from fedretina.errors import FedRetinaError
from fedretina.trust import (
    Acknowledgement,
    Newest,
    Signed,
    SigningKey,
    Verifier,
    acknowledgement,
    newest,
    root,
    statement,
    update,
)
from fuzz_seals import Seals
from mutations import mutate_bytes, mutate_value

STREAM = "duke/reuse"
Read = Callable[[bytes], object]


class Target:
    """A kind of document: an example, who signs it, and who reads it."""

    def __init__(self, signed: bytes, keys: list[SigningKey], read: Read) -> None:
        self.example, self.keys, self.read = Signed.from_bytes(signed), keys, read

    def mutated(self, rng: random.Random) -> bytes:
        """Return changed bytes: of the whole document, or of its body with a right signature."""
        if rng.random() < 0.3:
            return mutate_bytes(self.example.to_bytes(), rng)
        if rng.random() < 0.3:
            body = mutate_bytes(self.example.body, rng)
        else:
            body = msgpack.packb(mutate_value(msgpack.unpackb(self.example.body), rng))
        return Signed.by(self.keys, self.example.type, body).to_bytes()


def targets(folder: Path) -> dict[str, Target]:
    """Return every kind of document."""
    city = City()
    node: Verifier = city.verifier(folder)
    request = make_request(folder / "node", ["duke"], role="edge", data=folder)
    domain = SigningKey.load(folder / "node" / "keys" / "duke.sign.pem")
    signed_root = city.root(2).sign(city.root_keys).to_bytes()
    answer = {
        "node": "duke",
        "flower": "key",
        "address": "a:1",
        "ca": b"ca",
        "roots": [signed_root],
        "packages": {"flwr": "1"},
    }
    join = Signed.by([city.server], "fedretina/join", msgpack.packb(answer)).to_bytes()
    return {
        root.TYPE: Target(signed_root, city.root_keys, lambda data: update(city.root(), [data], NOW)),
        statement.TYPE: Target(
            city.statement().sign([city.duke]), [city.duke], lambda data: node.check(data, stream=STREAM, payload=b"payload")
        ),
        newest.TYPE: Target(Newest(1, NOW, {STREAM: (1, b"d")}).sign([city.server]), [city.server], node.hear_newest),
        acknowledgement.TYPE: Target(
            Acknowledgement("duke", {STREAM: (1, b"d")}, 1, NOW, {"Forged": 1}).sign([city.duke]),
            [city.duke],
            lambda data: node.check_acknowledgement(data, domain="duke"),
        ),
        "fedretina/request": Target(request, [domain], Request.read),
        "fedretina/join": Target(join, [city.server], lambda data: Invitation.read(data).fingerprint),
    }


def outcome(read: Callable[[], object]) -> str:
    """Return the name of the error of ours that reading ended in, or "read"."""
    try:
        read()
    except FedRetinaError as error:
        return type(error).__name__
    return "read"


def fuzz(rng: random.Random, folder: Path, until: Callable[[int], bool]) -> Counter[str]:
    """Fuzz until told to stop; return how often what happened."""
    every, seals, seen, count = targets(folder), Seals(folder), Counter[str](), 0
    while not until(count):
        name = rng.choice([*every, *seals.cases])
        read = seals.cases[name](rng) if name in seals.cases else partial(every[name].read, every[name].mutated(rng))
        seen[f"{name}: {outcome(read)}"] += 1
        count += 1
    return seen


def main() -> None:
    """Fuzz for some minutes, and print what happened."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    end = time.monotonic() + 60 * given.minutes
    with tempfile.TemporaryDirectory() as folder:
        seen = fuzz(random.Random(given.seed), Path(folder), lambda _: time.monotonic() > end)
    print(f"{sum(seen.values()):,} documents")
    for name, count in sorted(seen.items()):
        print(f"{count:10,}  {name}")


if __name__ == "__main__":
    main()
