"""The two folders of a deployment: the city's, on the server, and a node's, on each edge machine.

A folder is an identity: it can be copied to another machine, and starts there under systemd, compose or a shell.
"""

import json
from dataclasses import MISSING, asdict, dataclass, field, fields
from importlib import metadata
from pathlib import Path
from typing import Any, ClassVar, Self

from fedretina import atomic
from fedretina.errors import BadArgument
from fedretina.trust import IdentityFolder, SigningKey

PRIVATE_MODE = 0o700


@dataclass(frozen=True)
class _Folder:
    """A folder with a JSON file that describes it."""

    FILE: ClassVar[str]
    MADE_BY: ClassVar[str]
    OF: ClassVar[str]
    path: Path

    @property
    def identity(self) -> IdentityFolder:
        """The files of trust in this folder: keys and city roots."""
        return IdentityFolder(self.path)

    @property
    def keys(self) -> Path:
        """The folder of the private keys."""
        return self.identity.keys

    @property
    def log(self) -> Path:
        """What the Flower process of this folder prints."""
        return self.path / "flower.log"

    @property
    def pid(self) -> Path:
        """The identifier of that process."""
        return self.path / "flower.pid"

    def _write_description(self, description: dict[str, Any]) -> None:
        atomic.write_text(self.path / self.FILE, json.dumps(description, indent=1) + "\n")

    @classmethod
    def _read_description(cls, path: Path) -> dict[str, Any]:
        try:
            found = json.loads((path / cls.FILE).read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            others = [kind.OF for kind in _Folder.__subclasses__() if (path / kind.FILE).exists()]
            if others:
                raise BadArgument(f"{path} is the folder of {others[0]}; name the folder of {cls.OF} instead") from error
            raise BadArgument(f"{path} has no {cls.FILE}: make it with `{cls.MADE_BY}`, or name another folder") from error
        except (OSError, ValueError) as error:
            raise BadArgument(f"{path / cls.FILE} cannot be read ({error}): restore it from a backup") from error
        entries = [entry for entry in fields(cls) if entry.name != "path"]
        needed = {entry.name for entry in entries if entry.default is MISSING and entry.default_factory is MISSING}
        names = {entry.name for entry in entries}
        if not isinstance(found, dict) or not needed <= found.keys() <= names:
            raise BadArgument(f"{path / cls.FILE} must have the fields {', '.join(sorted(names))}: restore it from a backup")
        return found

    def save(self) -> None:
        """Write the description."""
        description = asdict(self)
        del description["path"]
        self._write_description(description)


@dataclass(frozen=True)
class CityFolder(_Folder):
    """The server's folder.

    Parameters
    ----------
    path : Path
        The folder.
    name : str
        The city's name, and the name of its connection for ``flwr run APP NAME``.
    hosts : list of str
        Names and addresses that the server certificate is valid for; nodes use the first.
    port : int
        The SuperLink's port.
    threshold : int
        How many root keys must sign a root.
    """

    FILE: ClassVar[str] = "city.json"
    MADE_BY: ClassVar[str] = "fedretina city init DIR --name NAME --address HOST:PORT"
    OF: ClassVar[str] = "a city"
    name: str
    hosts: list[str]
    port: int
    threshold: int = 1

    @property
    def tls(self) -> Path:
        """The folder of the certificates."""
        return self.path / "tls"

    @property
    def nodes(self) -> Path:
        """The folder with what is known of each approved node."""
        return self.path / "nodes"

    @property
    def database(self) -> Path:
        """The SuperLink's database."""
        return self.path / "superlink.db"

    @property
    def address(self) -> str:
        """HOST:PORT, as nodes use it."""
        host = self.hosts[0]
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    def root_keys(self) -> list[SigningKey]:
        """Return the root keys that lie in this folder. They may live elsewhere between two approvals."""
        return [SigningKey.load(path) for path in sorted(self.keys.glob("root-*.pem"))]

    def server_key(self) -> SigningKey:
        """Return the key that signs for the server."""
        return SigningKey.load(self.identity.signing_key("server"))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a folder; `BadArgument` names what is missing."""
        return cls(path.absolute(), **cls._read_description(path))


@dataclass(frozen=True)
class NodeFolder(_Folder):
    """An edge machine's folder.

    Parameters
    ----------
    path : Path
        The folder.
    name : str
        The node's name: its domains, joined by "+".
    domains : list of str
        The domains that it hosts.
    role : {"edge", "front-end"}
        Whether it trains, or only receives models.
    data : str
        The folder of its data; empty where the app has data of its own.
    share : bool, default True
        Whether weights that were trained on its targets' data may leave the node for co-training.
    city, address : str
        The city's name and the server's HOST:PORT; empty before it has joined.
    packages : dict of str to str
        The versions of the packages that the server had when it approved the node, by name; empty before.
    """

    FILE: ClassVar[str] = "node.json"
    MADE_BY: ClassVar[str] = "fedretina city request --domains NAME -o NAME.request"
    OF: ClassVar[str] = "a node"
    name: str
    domains: list[str]
    role: str
    data: str
    city: str = ""
    address: str = ""
    packages: dict[str, str] = field(default_factory=dict)
    share: bool = True

    def require_joined(self) -> None:
        """Raise `BadArgument` if the node has not joined a city."""
        if not self.address:
            raise BadArgument(f"{self.path} has not joined a city: `fedretina city join FILE.join --dir {self.path}` first")

    @property
    def request(self) -> Path:
        """The request that the node made when its keys were made."""
        return self.path / "node.request"

    @property
    def flower_key(self) -> Path:
        """The private key with which the node proves itself to Flower (EC, OpenSSH's format)."""
        return self.keys / "flower"

    @property
    def ca(self) -> Path:
        """The certificate that the server's certificate is checked against."""
        return self.path / "ca.crt"

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a folder; `BadArgument` names what is missing."""
        return cls(path.absolute(), **cls._read_description(path))


def package_versions() -> dict[str, str]:
    """Return the versions of the packages that must be the same on all machines of a city, by name."""
    return {name: metadata.version(name) for name in ("fedretina", "flwr")}


def make_private(path: Path) -> None:
    """Make a folder that only its owner can read."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(PRIVATE_MODE)


def check_name(name: str, what: str) -> None:
    """Check that a name can be a file's and a stream's.

    Raises
    ------
    BadArgument
        If it has other characters than letters, digits, "-", "_" and ".", begins with a dot, or is "server".
    """
    if not name or name.startswith(".") or name == "server" or not all(c.isalnum() or c in "-_." for c in name):
        raise BadArgument(
            f"the {what} {name!r} is not allowed: use letters, digits, '-', '_' and '.', not first a dot, and not 'server'"
        )
