"""A small city for the tests of trust: a root, a server, two domains, and a clock that stands still."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from fedretina.trust import (
    CityRoot,
    Domain,
    Policy,
    Role,
    SealingKey,
    SigningKey,
    Statement,
    TrustMemory,
    Verifier,
    merge_keys,
)
from fedretina.trust.statement import payload_hash

NOW = 1_800_000_000
DAY = 86_400


@dataclass
class City:
    root_keys: list[SigningKey] = field(default_factory=lambda: [SigningKey.generate() for _ in range(3)])
    server: SigningKey = field(default_factory=SigningKey.generate)
    duke: SigningKey = field(default_factory=SigningKey.generate)
    market: SigningKey = field(default_factory=SigningKey.generate)
    duke_seal: SealingKey = field(default_factory=SealingKey.generate)
    now: float = NOW

    def root(
        self, version: int = 1, *, expires: int = NOW + 30 * DAY, keys=None, threshold: int = 2, domains=("duke", "market")
    ):
        roots = self.root_keys if keys is None else keys
        members = {
            "duke": Domain(Role((self.duke.public.id,)), "edge", self.duke_seal.public),
            "market": Domain(Role((self.market.public.id,))),
        }
        every = [key.public for key in (*roots, self.server, self.duke, self.market)]
        return CityRoot(
            "testville",
            version,
            expires,
            merge_keys(every),
            Role(tuple(key.public.id for key in roots), threshold),
            Role((self.server.public.id,)),
            {name: members[name] for name in domains},
        )

    def verifier(self, folder: Path, **policy) -> Verifier:
        return Verifier(self.root(), Policy(**policy), TrustMemory(folder / "memory.json"), clock=lambda: self.now)

    def statement(self, payload: bytes = b"payload", counter: int = 1, **changes) -> Statement:
        found = Statement(
            stream="duke/reuse",
            counter=counter,
            digest=bytes([counter]) * 32,
            base=b"",
            length=len(payload),
            payload=payload_hash(payload),
            size=100,
            created=NOW,
            expires=NOW + DAY,
        )
        return replace(found, **changes)
