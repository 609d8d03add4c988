"""What a node demands. The policy stands in the node's own folder.

A run's configuration must not hold it: whoever may start runs could change it.
"""

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

from fedretina.errors import BadArgument

_HOUR_S = 3600.0
_NUMBER = (int, float)
_KINDS: dict[str, type | tuple[type, ...]] = {
    "domains": list,
    "warn_after_s": _NUMBER,
    "refuse_after_s": _NUMBER,
    "require_sealed": bool,
}


@dataclass(frozen=True)
class Policy:
    """A node's policy.

    Parameters
    ----------
    domains : tuple of str, default ()
        The domains whose models this node takes; empty means all that the city root lists.
    warn_after_s : float, default 3,600
        A list of newest versions older than this makes a warning.
    refuse_after_s : float, default 86,400
        A list older than this makes the node refuse every version (`Frozen`).
    require_sealed : bool, default False
        Whether the node neither takes nor sends a domain's model that the server can read (`Unsealed`). Models that the
        server makes itself are taken: they hide nothing from it.

    Raises
    ------
    BadArgument
        If a time is not positive, or refusal comes before the warning.

    Examples
    --------
    >>> Policy(domains=("duke",)).admits("duke"), Policy(domains=("duke",)).admits("msmt17")
    (True, False)
    """

    domains: tuple[str, ...] = ()
    warn_after_s: float = _HOUR_S
    refuse_after_s: float = 24 * _HOUR_S
    require_sealed: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.warn_after_s <= self.refuse_after_s:
            raise BadArgument(
                f"policy: warn_after_s = {self.warn_after_s:g}, refuse_after_s = {self.refuse_after_s:g}; "
                "both must be positive, and the warning comes first: change policy.toml"
            )

    def admits(self, domain: str) -> bool:
        """Return whether models of a domain are taken."""
        return not self.domains or domain in self.domains

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read policy.toml, a table ``[trust]`` with the parameters as keys. A missing file is the default policy.

        Raises
        ------
        BadArgument
            If the file cannot be read, or has a key or value that is not allowed.
        """
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8")).get("trust", {})
        except FileNotFoundError:
            return cls()
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise BadArgument(f"{path} cannot be read as TOML ({error}): mend it") from error
        allowed = [entry.name for entry in fields(cls)]
        for name, value in table.items() if isinstance(table, dict) else [("trust", table)]:
            if (
                name not in allowed
                or not isinstance(value, _KINDS[name])
                or isinstance(value, bool) != (_KINDS[name] is bool)
            ):
                raise BadArgument(f"{path}: {name} = {value!r} is not allowed; keys are {', '.join(allowed)}: mend it")
        if not all(isinstance(name, str) for name in table.get("domains", [])):
            raise BadArgument(f"{path}: domains must be a list of names: mend it")
        return cls(**table | ({"domains": tuple(table["domains"])} if "domains" in table else {}))
