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
    load_signing_keys,
    merge_keys,
    pack,
    pin,
    read_list,
    save_signing_keys,
    unpack,
    update,
)

MAX_SIGNERS = 2
"""Keys that sign for a domain: Ed25519, and ML-DSA-65 if it was asked for."""
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
    domains: dict[str, tuple[list[VerifyKey], RecipientKey]]
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
            entries = {name: read_list(entry, list, str, bytes) for name, entry in found["domains"].items()}
            keys = {name: [VerifyKey(*read_list(key, str, bytes)) for key in entry[0]] for name, entry in entries.items()}
        except ValueError as error:
            raise Corrupt("a request has a domain without its keys: ask for a new one") from error
        domains = {name: (keys[name], RecipientKey(*entry[1:])) for name, entry in entries.items()}
        if found["role"] not in NODE_ROLES or not domains:
            raise Corrupt(f"a request has the role {found['role']!r} and {len(domains)} domains: ask for a new one")
        for name, (signers, recipient) in domains.items():
            check_name(name, "domain")
            for key in signers:
                key.check()
            recipient.check()
            if not 1 <= len(merge_keys(signers)) == len(signers) <= MAX_SIGNERS:
                raise Corrupt(f"a request has {len(signers)} keys for {name}: ask for a new one")
            signed.require(merge_keys(signers), len(signers))
        return cls(found["name"], found["role"], found["flower"], domains, signed)

    def is_rotation(self, root: CityRoot, domain: str) -> bool:
        """Return whether the key that the root lists for a domain signed the request too."""
        listed = root.domains[domain].signers
        try:
            self.signed.require(root.keys_of(listed), listed.threshold)
        except Untrusted:
            return False
        return True


def make_request(
    folder: Path,
    domains: Sequence[str],
    *,
    role: str,
    data: Path | None,
    post_quantum: bool = False,
    share: bool = True,
) -> bytes:
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
    post_quantum : bool, default False
        Whether each domain signs by ML-DSA-65 beside Ed25519, and opens what is sealed by ML-KEM-768 with X25519.
    share : bool, default True
        Whether weights that were trained on its targets' data may leave the node for co-training.

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
    place = str(data.absolute()) if data else ""
    node = NodeFolder(folder.absolute(), "+".join(domains), list(domains), role, place, share=share)
    if (folder / NodeFolder.FILE).exists():
        raise BadArgument(
            f"{folder} holds a node already: name another folder, or remove it if the node is no longer wanted"
        )
    make_private(node.keys)
    flower = _make_flower_key(node.flower_key)
    files = {name: (node.identity.signing_key(name), node.identity.sealing_key(name)) for name in domains}
    keys = {name: _make_domain_keys(*paths, post_quantum=post_quantum) for name, paths in files.items()}
    request = _request(node, flower, keys, [key for signers, _ in keys.values() for key in signers])
    atomic.write_bytes(node.request, request)
    node.save()
    return request


def make_rotation(node: NodeFolder, domain: str) -> bytes:
    """Make new keys of the same kinds for a domain, and return the request; the old ones stay in use until `join`.

    Raises
    ------
    BadArgument
        If the node does not host the domain.
    """
    if domain not in node.domains:
        raise BadArgument(f"{node.path} hosts no domain {domain!r}; it hosts {', '.join(node.domains)}")
    files = node.identity.signing_key(domain), node.identity.sealing_key(domain)
    old = load_signing_keys(files[0])
    keys = {domain: _make_domain_keys(*map(_pending, files), post_quantum=len(old) > 1)}
    flower = node.flower_key.with_suffix(".pub").read_text(encoding="utf-8").strip()
    return _request(node, flower, keys, [*keys[domain][0], *old])


def admit(city: CityFolder, request: Request) -> CityRoot:
    """Sign a root that lists the request's domains, and keep it.

    Raises
    ------
    BadArgument
        If a domain is listed with another key, or too few root keys are in the folder.
    """
    root = city.identity.root()
    new = {name: _domain_of(keys, recipient, request.role) for name, (keys, recipient) in request.domains.items()}
    for name, domain in new.items():
        known = name in root.domains and root.domains[name].signers != domain.signers
        if known and not request.is_rotation(root, name):
            raise BadArgument(
                f"the city lists the domain {name} with another key ({root.domains[name].signers.keys[0][:8]}): "
                f"`fedretina city revoke {name}` first, if the machine was replaced"
            )
    if all(root.domains.get(name) == domain for name, domain in new.items()):
        return root
    return next_root(city, {**root.domains, **new}, [key for keys, _ in request.domains.values() for key in keys])


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
    node: NodeFolder, flower: str, keys: dict[str, tuple[list[SigningKey], SealingKey]], signing: Sequence[SigningKey]
) -> bytes:
    entries = {
        name: [[[key.public.algorithm, key.public.raw] for key in signers], sealing.public.kem, sealing.public.raw]
        for name, (signers, sealing) in keys.items()
    }
    body = pack({"name": node.name, "role": node.role, "flower": flower, "domains": entries})
    return Signed.by(signing, REQUEST, body).to_bytes()


def _domain_of(keys: Sequence[VerifyKey], recipient: RecipientKey, role: str) -> Domain:
    """Return what the root says of a domain: all of its keys must sign."""
    return Domain(Role(tuple(key.id for key in keys), len(keys)), role, recipient)


def _make_domain_keys(signing: Path, sealing: Path, *, post_quantum: bool) -> tuple[list[SigningKey], SealingKey]:
    signers = [SigningKey.generate()]
    if post_quantum:
        signers.append(SigningKey.generate("ml-dsa-65"))
    recipient = SealingKey.generate("x25519-ml-kem-768" if post_quantum else "x25519")
    save_signing_keys(signing, signers)
    recipient.save(sealing)
    return signers, recipient


def _pending(key: Path) -> Path:
    """Return where a new key waits until the city root lists it."""
    return key.with_suffix(".next.pem")


def _take_pending_keys(node: NodeFolder, root: CityRoot) -> None:
    """Use the new keys that the root lists. Each file is looked at for itself: a kill between the two loses none."""
    for name in (name for name in node.domains if name in root.domains):
        domain, signing, sealing = root.domains[name], node.identity.signing_key(name), node.identity.sealing_key(name)
        if (new := _pending(signing)).exists():
            listed = {key.public.id for key in load_signing_keys(new)}.issubset(domain.signers.keys)
            if listed:
                new.replace(signing)
        if (new := _pending(sealing)).exists() and SealingKey.load(new).public == domain.sealing:
            new.replace(sealing)


def _make_flower_key(path: Path) -> str:
    """Write an EC key pair as `ssh-keygen -t ecdsa -b 384` does; return the public line."""
    key = ec.generate_private_key(ec.SECP384R1())
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    atomic.write_bytes(path, private, durable=True, private=True)
    atomic.write_text(path.with_suffix(".pub"), public + "\n")
    return public
