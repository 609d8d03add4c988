"""The city root: which keys speak for the root itself, for the server and for each domain. The rules are TUF's.

`fedretina.trust.root_chain` says how a node comes to trust a root.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from fedretina.errors import Corrupt
from fedretina.trust.document import pack, read_list, unpack
from fedretina.trust.keys import SigningKey, VerifyKey
from fedretina.trust.sealing_keys import RecipientKey
from fedretina.trust.signed import Signed

TYPE = "fedretina/root"
NODE_ROLES = ("edge", "front-end")
_FIELDS = {"city": str, "version": int, "expires": int, "keys": dict, "root": list, "server": list, "domains": dict}


@dataclass(frozen=True)
class Role:
    """The keys of which `threshold` must sign."""

    keys: tuple[str, ...]
    threshold: int = 1


@dataclass(frozen=True)
class Domain:
    """What the root says of a domain: who signs for it, and the key to seal payloads for it.

    Parameters
    ----------
    signers : Role
        The keys that sign its versions.
    node_role : {"edge", "front-end"}
        Whether its node trains, or only receives models.
    sealing : RecipientKey or None
        The key that payloads for it are sealed with.
    """

    signers: Role
    node_role: str = "edge"
    sealing: RecipientKey | None = None


@dataclass(frozen=True)
class CityRoot:
    """A version of the city root.

    Parameters
    ----------
    city : str
        The city's name.
    version : int
        1 for the first root; each later one counts one further.
    expires : int
        When it ends, in seconds since 1970 (UTC).
    keys : mapping of str to VerifyKey
        All public keys, by identifier.
    root, server : Role
        Who signs the next root, and who signs for the server.
    domains : mapping of str to Domain
        The domains that belong to the city. A domain that is missing is revoked.

    Raises
    ------
    Corrupt
        If a role names keys that are not there, or a threshold that cannot be met.
    """

    city: str
    version: int
    expires: int
    keys: Mapping[str, VerifyKey]
    root: Role
    server: Role
    domains: Mapping[str, Domain]

    def __post_init__(self) -> None:
        if self.version < 1:
            raise Corrupt(f"the city root has version {self.version}; 1 is the first: drop it")
        for name, key in self.keys.items():
            key.check()
            if name != key.id:
                raise Corrupt(f"the city root lists the key {key.id[:8]} as {name[:8]}: drop it")
        roles = {"root": self.root, "server": self.server} | {f"domain {n}": d.signers for n, d in self.domains.items()}
        for name, role in roles.items():
            _check_role(name, role, self.keys)
        for name, domain in self.domains.items():
            if domain.node_role not in NODE_ROLES:
                raise Corrupt(
                    f"domain {name} has the role {domain.node_role!r}; {' and '.join(NODE_ROLES)} are allowed: drop the root"
                )
            if domain.sealing is not None:
                domain.sealing.check()

    def sign(self, keys: Iterable[SigningKey]) -> Signed:
        """Sign this root."""
        return Signed.by(keys, TYPE, self.to_bytes())

    def keys_of(self, role: Role) -> dict[str, VerifyKey]:
        """Return the keys of a role by identifier."""
        return {name: self.keys[name] for name in role.keys}

    def sealing_keys(self, domains: Iterable[str]) -> dict[str, RecipientKey]:
        """Return the keys to seal payloads with, by domain; domains without one, or that are not listed, are left out."""
        known = {name: self.domains[name].sealing for name in domains if name in self.domains}
        return {name: key for name, key in known.items() if key is not None}

    def front_ends(self) -> list[str]:
        """Return the domains whose nodes only receive models."""
        return [name for name, domain in self.domains.items() if domain.node_role == "front-end"]

    def to_bytes(self) -> bytes:
        """Return the bytes that are signed."""
        return pack(
            {
                "city": self.city,
                "version": self.version,
                "expires": self.expires,
                "keys": {name: [key.algorithm, key.raw] for name, key in sorted(self.keys.items())},
                "root": [self.root.threshold, *self.root.keys],
                "server": [self.server.threshold, *self.server.keys],
                "domains": {name: _list_domain(domain) for name, domain in sorted(self.domains.items())},
            }
        )

    @classmethod
    def from_bytes(cls, body: bytes) -> Self:
        """Read what `to_bytes` wrote; whether it is signed is asked elsewhere.

        Raises
        ------
        Corrupt
            If the bytes are no city root.
        """
        found = unpack(body, _FIELDS, "a city root")
        try:
            keys = {name: VerifyKey(*read_list(entry, str, bytes)) for name, entry in found["keys"].items()}
            domains = {name: _read_domain(entry) for name, entry in found["domains"].items()}
            root, server = _read_role(found["root"]), _read_role(found["server"])
        except (TypeError, ValueError) as error:
            raise Corrupt(f"a city root has a field of the wrong shape ({error}): drop it") from error
        return cls(found["city"], found["version"], found["expires"], keys, root, server, domains)


def merge_keys(keys: Iterable[VerifyKey]) -> dict[str, VerifyKey]:
    """Return keys by identifier, as `CityRoot` takes them."""
    return {key.id: key for key in keys}


def _check_role(name: str, role: Role, keys: Mapping[str, VerifyKey]) -> None:
    if missing := [key for key in role.keys if key not in keys]:
        raise Corrupt(f"the role {name} has the key {missing[0][:8]}, which the city root does not list: drop it")
    if len(set(role.keys)) != len(role.keys) or not 1 <= role.threshold <= len(role.keys):
        raise Corrupt(f"the role {name} needs {role.threshold} of {len(set(role.keys))} keys, which is impossible: drop it")


def _list_domain(domain: Domain) -> list[Any]:
    sealing = domain.sealing
    return [
        domain.node_role,
        [domain.signers.threshold, *domain.signers.keys],
        *((sealing.kem, sealing.raw) if sealing else ("", b"")),
    ]


def _read_domain(entry: Any) -> Domain:
    node_role, signers, kem, raw = read_list(entry, str, list, str, bytes)
    return Domain(_read_role(signers), node_role, RecipientKey(kem, raw) if kem else None)


def _read_role(entry: list[Any]) -> Role:
    threshold, *keys = read_list(entry, int, *[str] * (len(entry) - 1))
    return Role(tuple(keys), threshold)
