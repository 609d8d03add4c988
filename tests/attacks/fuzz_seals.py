"""Random changes of sealed payloads and stanzas, and of what headers and files say of them; `fuzz_trust` runs it."""

import random
from collections.abc import Callable
from pathlib import Path

import msgpack
from flwr.app import ConfigRecord

from city import NOW, City
from fedretina.flower.header import DownHeader, ReturnedModel, SentModel, UpHeader
from fedretina.flower.sealed import SealedLink
from fedretina.flower.seals import DownSeal, UpSeal
from fedretina.flower.server_trust import ServerTrust
from fedretina.flower.trust import DownTrust, NodeTrust, UpTrust
from fedretina.trust import Identity, IdentityFolder, SealingKey, open_sealed, seal
from mutations import mutate_bytes, mutate_value

STREAM = "market"
PAYLOADS = (b"", b"weights", bytes(70_000))
Case = Callable[[random.Random], Callable[[], object]]


class Seals:
    """A maker (market), a recipient (duke) and a server.

    Attributes
    ----------
    cases : dict of str to callable
        By name: takes random numbers, returns what reads a changed document.
    """

    def __init__(self, folder: Path) -> None:
        self.city = City()
        self.hybrid = SealingKey.generate("x25519-ml-kem-768")
        self.node = NodeTrust(self._identity(folder / "duke", "duke"))
        self.server = ServerTrust(self._identity(folder / "server", "server"))
        self.cases: dict[str, Case] = {
            "sealed body": self._body,
            "sealed, hybrid": self._hybrid,
            "sealed record at a node": self._record,
            "sealed reply at the server": self._reply,
            "sealed payload's file": self._file,
            "header down": self._down,
            "header up": self._up,
        }

    def _identity(self, folder: Path, owner: str) -> Identity:
        files = IdentityFolder(folder)
        files.keys.mkdir(parents=True)
        (self.city.server if owner == "server" else self.city.duke).save(files.signing_key(owner))
        self.city.duke_seal.save(files.sealing_key(owner))
        files.add_root(1, self.city.root().sign(self.city.root_keys).to_bytes())
        return Identity(folder, [owner], clock=lambda: NOW)

    def _sealed(self, rng: random.Random, key: SealingKey) -> tuple[bytes, bytes, bytes, int]:
        """Return body, stanza, statement and length of a sound payload."""
        payload = rng.choice(PAYLOADS)
        signed = self.city.statement(payload, stream=STREAM).sign([self.city.market])
        sealed = seal(payload, [key.public], signed)
        return sealed.body, sealed.stanzas[key.public.id], signed, len(payload)

    def _changed(self, rng: random.Random, key: SealingKey) -> tuple[bytes, bytes, bytes, int]:
        """Return the same with one of them changed."""
        body, stanza, signed, length = self._sealed(rng, key)
        match rng.randrange(4):
            case 0:
                body = mutate_bytes(body, rng)
            case 1:
                stanza = mutate_bytes(stanza, rng)
            case 2:
                signed = mutate_bytes(signed, rng)
            case _:
                length = rng.choice([length, length + 1, 0, 2**40, -1])
        return body, stanza, signed, length

    def _body(self, rng: random.Random) -> Callable[[], object]:
        body, stanza, signed, length = self._changed(rng, self.city.duke_seal)
        return lambda: open_sealed(body, stanza, self.city.duke_seal, signed, length=length)

    def _hybrid(self, rng: random.Random) -> Callable[[], object]:
        body, stanza, signed, length = self._changed(rng, self.hybrid)
        return lambda: open_sealed(body, stanza, self.hybrid, signed, length=length)

    def _record(self, rng: random.Random) -> Callable[[], object]:
        body, stanza, signed, _ = self._changed(rng, self.city.duke_seal)
        earlier = tuple(mutate_bytes(signed, rng) for _ in range(rng.choice([0, 0, 0, 1])))
        bodies, stanzas = [body] * rng.choice([1, 1, 1, 0, 2]), (stanza,) * rng.choice([1, 1, 1, 0, 2])

        def read() -> object:
            found = self.node.check(STREAM, STREAM, (bytes([1]) * 32).hex(), signed, bodies)
            return self.node.open(STREAM, found, signed, DownSeal(stanzas, earlier), bodies)

        return read

    def _reply(self, rng: random.Random) -> Callable[[], object]:
        body, _, signed, _ = self._changed(rng, self.city.duke_seal)
        return lambda: self.server.check_sealed(STREAM, body, signed)

    def _file(self, rng: random.Random) -> Callable[[], object]:
        body, stanza, signed, _ = self._sealed(rng, self.city.duke_seal)
        link = SealedLink(
            number=1, base=None, digest="ab" * 32, payload=body, lattice=True, statement=signed, stanzas={"duke": stanza},
            asked=frozenset(["duke"]), order=(1, 0), plain=(5, 6),
        )  # fmt: skip
        data = link.to_bytes()
        if rng.random() < 0.5:
            data = mutate_bytes(data, rng)
        else:
            data = msgpack.packb(mutate_value(msgpack.unpackb(data), rng))
        return lambda: SealedLink.from_bytes(data)

    def _down(self, rng: random.Random) -> Callable[[], object]:
        trust = DownTrust((), b"newest", {STREAM: b"s"}, {STREAM: DownSeal((b"a", b"b"), (b"c",))}, {STREAM: ("duke",)})
        models = {STREAM: SentModel(stream=STREAM, digest="ab" * 32)}
        record = DownHeader(config=None, uplink="stream", models=models, trust=trust).to_record()
        return lambda: DownHeader.from_record(_mutated_record(record, rng))

    def _up(self, rng: random.Random) -> Callable[[], object]:
        trust = UpTrust(1, b"report", {STREAM: b"s"}, {STREAM: UpSeal({"duke": b"a"}, (5, 6))})
        record = UpHeader(held={}, models={STREAM: ReturnedModel(stream=STREAM)}, trust=trust).to_record()
        return lambda: UpHeader.from_record(_mutated_record(record, rng))


def _mutated_record(record: ConfigRecord, rng: random.Random) -> ConfigRecord:
    data = record[""]
    assert isinstance(data, bytes)
    return ConfigRecord({"": msgpack.packb(mutate_value(msgpack.unpackb(data), rng))})
