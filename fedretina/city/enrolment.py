"""Enrolment: a request from the edge, an approval from the server. Both files hold nothing secret and may travel by mail.

The edge signs its request with the domains' new keys, so that an edited request is refused. The server signs its answer with
its own key, which the city root lists, and whose fingerprint people compare by voice.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from fedretina import atomic
from fedretina.city.folders import CityFolder, NodeFolder, check_name, make_private, package_versions
from fedretina.errors import BadArgument, Corrupt, Untrusted
from fedretina.trust import (
    NODE_ROLES,
    CityRoot,
    Domain,
    RecipientKey,
    Replayed,
    Role,
    SealingKey,
    Signed,
    SigningKey,
    VerifyKey,
    fingerprint,
    merge_keys,
    pack,
    pin,
    read_list,
    unpack,
    update,
)

ROOT_LIFETIME_S = 365 * 86_400
REQUEST = "fedretina/request"
JOIN = "fedretina/join"
_REQUEST_FIELDS = {"name": str, "role": str, "flower": str, "domains": dict}
_JOIN_FIELDS = {"node": str, "flower": str, "address": str, "ca": bytes, "roots": list, "packages": dict}


@dataclass(frozen=True)
class Request:
    """What a node asks for: its domains with their public keys, and its public key for Flower (one line, OpenSSH)."""

    name: str
    role: str
    flower: str
    domains: dict[str, tuple[VerifyKey, RecipientKey]]
    signed: Signed

    @classmethod
    def read(cls, data: bytes) -> "Request":
        """Read a request and check that each domain's own key signed it.

        Raises
        ------
        Corrupt
            If the bytes are no request.
        UnknownSigner, Forged
            If the request was edited.
        """
        signed = Signed.from_bytes(data)
        if signed.type != REQUEST:
            raise Replayed(f"the file is a {signed.type}, not a {REQUEST}: name the file that `city request` wrote")
        found = unpack(signed.body, _REQUEST_FIELDS, "a request")
        try:
            entries = {name: read_list(entry, str, bytes, str, bytes) for name, entry in found["domains"].items()}
        except ValueError as error:
            raise Corrupt("a request has a domain without its keys: ask for a new one") from error
        domains = {name: (VerifyKey(*entry[:2]), RecipientKey(*entry[2:])) for name, entry in entries.items()}
        if found["role"] not in NODE_ROLES or not domains:
            raise Corrupt(f"a request has the role {found['role']!r} and {len(domains)} domains: ask for a new one")
        for name, (key, recipient) in domains.items():
            check_name(name, "domain")
            key.check()
            recipient.check()
            signed.require({key.id: key}, 1)
        return cls(found["name"], found["role"], found["flower"], domains, signed)

    def is_rotation(self, root: CityRoot, domain: str) -> bool:
        """Return whether the key that the root lists for a domain signed the request too."""
        listed = root.domains[domain].signers
        try:
            self.signed.require(root.keys_of(listed), listed.threshold)
        except Untrusted:
            return False
        return True


def make_request(folder: Path, domains: Sequence[str], *, role: str, data: Path | None) -> bytes:
    """Make a node's folder with new keys, and return the request.

    Parameters
    ----------
    folder : Path
        The node's folder; it must not hold a node yet.
    domains : sequence of str
        The names of the domains that the node will host.
    role : {"edge", "front-end"}
        Whether it trains, or only receives models.
    data : Path or None
        The folder of its data; None where the app has data of its own.

    Raises
    ------
    BadArgument
        If a name or role is not allowed, or the folder holds a node.
    """
    for name in domains:
        check_name(name, "domain")
    if role not in NODE_ROLES or not domains:
        raise BadArgument(
            f"role {role!r} with {len(domains)} domains: name a domain, and one of the roles {', '.join(NODE_ROLES)}"
        )
    node = NodeFolder(folder.absolute(), "+".join(domains), list(domains), role, str(data.absolute()) if data else "")
    if (folder / NodeFolder.FILE).exists():
        raise BadArgument(
            f"{folder} holds a node already: name another folder, or remove it if the node is no longer wanted"
        )
    make_private(node.keys)
    flower = _make_flower_key(node.flower_key)
    keys = {name: _make_domain_keys(node.identity.signing_key(name), node.identity.sealing_key(name)) for name in domains}
    request = _request(node, flower, keys, [key for key, _ in keys.values()])
    atomic.write_bytes(node.request, request)
    node.save()
    return request


def make_rotation(node: NodeFolder, domain: str) -> bytes:
    """Make new keys for a domain, and return the request; the old keys stay in use until the answer is joined.

    Raises
    ------
    BadArgument
        If the node does not host the domain.
    """
    if domain not in node.domains:
        raise BadArgument(f"{node.path} hosts no domain {domain!r}; it hosts {', '.join(node.domains)}")
    keys = {
        domain: _make_domain_keys(_pending(node.identity.signing_key(domain)), _pending(node.identity.sealing_key(domain)))
    }
    flower = node.flower_key.with_suffix(".pub").read_text(encoding="utf-8").strip()
    return _request(node, flower, keys, [keys[domain][0], SigningKey.load(node.identity.signing_key(domain))])


def admit(city: CityFolder, request: Request) -> CityRoot:
    """Sign a root that lists the request's domains, and keep it.

    Raises
    ------
    BadArgument
        If a domain is listed with another key, or too few root keys are in the folder.
    """
    root = city.identity.root()
    for name, (key, _) in request.domains.items():
        known = name in root.domains and root.domains[name].signers.keys != (key.id,)
        if known and not request.is_rotation(root, name):
            raise BadArgument(
                f"the city lists the domain {name} with another key ({root.domains[name].signers.keys[0][:8]}): "
                f"`fedretina city revoke {name}` first, if the machine was replaced"
            )
    new = {name: Domain(Role((key.id,)), request.role, recipient) for name, (key, recipient) in request.domains.items()}
    if all(root.domains.get(name) == domain for name, domain in new.items()):
        return root
    return next_root(city, {**root.domains, **new}, [key for key, _ in request.domains.values()])


def next_root(city: CityFolder, domains: dict[str, Domain], new_keys: Sequence[VerifyKey] = ()) -> CityRoot:
    """Sign the next root with these domains, and keep it; keys that nobody uses any more are left out."""
    root = city.identity.root()
    used = {*root.root.keys, *root.server.keys, *(key for domain in domains.values() for key in domain.signers.keys)}
    keys = {name: key for name, key in {**root.keys, **merge_keys(new_keys)}.items() if name in used}
    newer = replace(root, version=root.version + 1, expires=int(time.time()) + ROOT_LIFETIME_S, keys=keys, domains=domains)
    signing = [key for key in city.root_keys() if key.public.id in root.root.keys]
    if len(signing) < root.root.threshold:
        raise BadArgument(
            f"{len(signing)} root keys are in {city.keys}, {root.root.threshold} must sign: bring back the other root-*.pem"
        )
    city.identity.add_root(newer.version, newer.sign(signing).to_bytes())
    return newer


def make_join_file(city: CityFolder, request: Request) -> bytes:
    """Return the answer to a request: address, certificate authority and city roots, signed by the server."""
    answer: dict[str, Any] = {
        "node": request.name,
        "flower": request.flower,
        "address": city.address,
        "ca": (city.tls / "ca.crt").read_bytes(),
        "roots": city.identity.signed_roots(),
        "packages": package_versions(),
    }
    return Signed.by([city.server_key()], JOIN, pack(answer)).to_bytes()


@dataclass(frozen=True)
class Invitation:
    """What a join file says, before anybody believes it."""

    signed: Signed
    found: dict[str, Any]

    @classmethod
    def read(cls, data: bytes) -> "Invitation":
        """Read a join file.

        Raises
        ------
        Corrupt
            If the bytes are no join file.
        """
        signed = Signed.from_bytes(data)
        if signed.type != JOIN:
            raise Replayed(f"the file is a {signed.type}, not a {JOIN}: name the file that `city approve` wrote")
        found = unpack(signed.body, _JOIN_FIELDS, "a join file")
        if not found["roots"] or not all(isinstance(root, bytes) for root in found["roots"]):
            raise Corrupt("a join file has no city root: ask for a new one")
        if not all(isinstance(word, str) for entry in found["packages"].items() for word in entry):
            raise Corrupt("a join file has a package without name and version: ask for a new one")
        return cls(signed, found)

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the first root in the file, to be compared by voice."""
        return fingerprint(Signed.from_bytes(self.found["roots"][0]).body)

    def accept(self, node: NodeFolder, expected: str) -> NodeFolder:
        """Pin the root and join; nothing is kept if anything is wrong.

        Parameters
        ----------
        node : NodeFolder
            The node that asked.
        expected : str
            The fingerprint that the operator reads aloud.

        Raises
        ------
        Forged, UnknownSigner, RolledBack, Expired
            If the fingerprint differs, or the file was edited.
        Replayed
            If the file answers another node's request.
        """
        first, *newer = self.found["roots"]
        root = update(pin(first, expected), newer, time.time())
        self.signed.require(root.keys_of(root.server), root.server.threshold)
        own = node.flower_key.with_suffix(".pub").read_text(encoding="utf-8").strip()
        if self.found["flower"] != own:
            raise Replayed(
                f"the join file is for the node {self.found['node']!r} with another key: ask for the one of {node.name}"
            )
        for version, data in enumerate(self.found["roots"], 1):
            node.identity.add_root(version, data)
        atomic.write_bytes(node.ca, self.found["ca"], durable=True)
        joined = replace(node, city=root.city, address=self.found["address"], packages=self.found["packages"])
        joined.save()
        _take_pending_keys(node, root)
        return joined


def _request(
    node: NodeFolder, flower: str, keys: dict[str, tuple[SigningKey, SealingKey]], signing: Sequence[SigningKey]
) -> bytes:
    entries = {
        name: [key.public.algorithm, key.public.raw, sealing.public.kem, sealing.public.raw]
        for name, (key, sealing) in keys.items()
    }
    body = pack({"name": node.name, "role": node.role, "flower": flower, "domains": entries})
    return Signed.by(signing, REQUEST, body).to_bytes()


def _make_domain_keys(signing: Path, sealing: Path) -> tuple[SigningKey, SealingKey]:
    key, recipient = SigningKey.generate(), SealingKey.generate()
    key.save(signing)
    recipient.save(sealing)
    return key, recipient


def _pending(key: Path) -> Path:
    """Return where a new key waits until the city root lists it."""
    return key.with_suffix(".next.pem")


def _take_pending_keys(node: NodeFolder, root: CityRoot) -> None:
    for domain in node.domains:
        signing, sealing = node.identity.signing_key(domain), node.identity.sealing_key(domain)
        pending = _pending(signing)
        if pending.exists() and SigningKey.load(pending).public.id in root.domains[domain].signers.keys:
            pending.replace(signing)
            _pending(sealing).replace(sealing)


def _make_flower_key(path: Path) -> str:
    """Write an EC key pair as `ssh-keygen -t ecdsa -b 384` does; return the public line."""
    key = ec.generate_private_key(ec.SECP384R1())
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    atomic.write_bytes(path, private, durable=True, private=True)
    atomic.write_text(path.with_suffix(".pub"), public + "\n")
    return public
