"""The keys and the root of a simulated city: every machine of the simulation makes the same ones from a seed."""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedretina.trust.identity import Identity, IdentityFolder
from fedretina.trust.keys import SigningKey, save_signing_keys
from fedretina.trust.root import CityRoot, Domain, Role, merge_keys
from fedretina.trust.sealing_keys import SealingKey
from fedretina.trust.verifier import SERVER

_NAME = "simulated"
_ROOT = "root"
_EXPIRES = 2**32 - 1


class SimulatedCity:
    """The identities of a city whose server and domains are all simulated.

    Keys follow from the seed, so whoever knows the seed can sign for every domain. They show what checks refuse, and what
    checks cost. They protect nothing: a real city begins with ``fedretina city create``.

    Parameters
    ----------
    domains : sequence of str
        The domains that the city root lists.
    seed : int
        The seed of all signing keys.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> mill = SimulatedCity(["mill", "port"], seed=0).identity(folder / "mill", "mill")
    >>> elsewhere = SimulatedCity(["mill", "port"], seed=0).identity(folder / "elsewhere", "mill")
    >>> sorted(mill.known_owners), mill.signing["mill"][0].public == elsewhere.signing["mill"][0].public
    (['mill', 'port'], True)
    """

    def __init__(self, domains: Sequence[str], *, seed: int) -> None:
        self.domains, self.seed = tuple(domains), seed

    def identity(self, folder: Path, owner: str) -> Identity:
        """Return the identity of a domain, or of the server (``"server"``); its folder is made if it is not there.

        Parameters
        ----------
        folder : Path
            The folder of this owner.
        owner : str
            Who it is.
        """
        files = IdentityFolder(folder)
        if not files.signed_roots():  # the root is written last: with it the folder is whole
            files.keys.mkdir(parents=True, exist_ok=True)
            save_signing_keys(files.signing_key(owner), [self._key(owner)])
            SealingKey.generate().save(files.sealing_key(owner))
            files.add_root(1, self.signed_root)
        return Identity(folder, [owner])

    @cached_property
    def signed_root(self) -> bytes:
        """The city root, signed."""
        own, server = self._key(_ROOT), self._key(SERVER).public
        members = {name: self._key(name).public for name in self.domains}
        root = CityRoot(
            city=_NAME,
            version=1,
            expires=_EXPIRES,
            keys=merge_keys([own.public, server, *members.values()]),
            root=Role((own.public.id,)),
            server=Role((server.id,)),
            domains={name: Domain(Role((key.id,))) for name, key in members.items()},
        )
        return root.sign([own]).to_bytes()

    def _key(self, owner: str) -> SigningKey:
        secret = hashlib.sha256(f"{_NAME} city/{self.seed}/{owner}".encode()).digest()
        return SigningKey(Ed25519PrivateKey.from_private_bytes(secret))
