"""Links of a simulated city: how fast each domain receives, trains and sends, and when it is offline."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fedretina.checks import check_number
from fedretina.errors import BadArgument

WIDEST = 10.0
"""The largest spread: with it some links are 10**12 times as slow as others."""


@dataclass(frozen=True)
class Link:
    """The link and the machine of a domain.

    Parameters
    ----------
    down, up : float
        Bytes per second.
    latency : float
        Seconds before the first byte arrives.
    train : float
        Seconds of a turn's local epochs; each peer adds a quarter of it.
    """

    down: float
    up: float
    latency: float
    train: float

    def until_sent(self, down_bytes: int, peers: int, *, at_home: float = 0.0) -> float:
        """Return the seconds from the start of a turn until its reply begins to arrive.

        `at_home` is how many times as long as its local epochs a domain trains at home before them: in its first turn.
        """
        return 2 * self.latency + down_bytes / self.down + self.train * (1 + at_home + peers / 4)


@dataclass(frozen=True, kw_only=True)
class LinkModel:
    """The distributions from which links are drawn; all are log-normal, given by median and spread.

    Parameters
    ----------
    down_mbit, up_mbit : float, default 50 and 10
        Medians, in Mbit/s.
    latency_ms : float, default 30
        Median.
    train_s : float, default 60
        Median of the seconds of a turn's local epochs.
    spread : float, default 1.0
        Standard deviation of the logarithms, up to 10: 1 puts two thirds of the values within a factor of 2.7.
    offline : float, default 0.1
        Share of the domains that are offline before a turn, from 0 to 1.
    off_s : float, default 600
        Mean of the seconds of an absence (exponential).

    Raises
    ------
    BadArgument
        If a value is not allowed.

    Examples
    --------
    >>> LinkModel().draw(["mill", "port"], seed=0)["mill"].up > 0
    True
    """

    down_mbit: float = 50.0
    up_mbit: float = 10.0
    latency_ms: float = 30.0
    train_s: float = 60.0
    spread: float = 1.0
    offline: float = 0.1
    off_s: float = 600.0

    def __post_init__(self) -> None:
        for key in ("down_mbit", "up_mbit", "latency_ms", "train_s", "off_s"):
            check_number(key.replace("_", "-"), getattr(self, key), positive=True)
        if not (0 <= self.offline <= 1 and 0 <= self.spread <= WIDEST):
            raise BadArgument(f"offline = {self.offline}, spread = {self.spread}: give 0 to 1, and 0 to {WIDEST:g}")

    def draw(self, domains: Sequence[str], *, seed: int) -> dict[str, Link]:
        """Draw a link for each domain; it depends on the seed and the domain's position."""
        return {name: self._link(_generator(seed, index, 0)) for index, name in enumerate(domains)}

    def absence(self, index: int, turn: int, *, seed: int) -> float:
        """Return for how many seconds the domain at a position is offline before a turn; usually 0."""
        rng = _generator(seed, index, turn)
        return float(rng.exponential(self.off_s)) if rng.random() < self.offline else 0.0

    def _link(self, rng: np.random.Generator) -> Link:
        factors = np.exp(rng.normal(0, self.spread, 4))
        medians = np.array([self.down_mbit * 125e3, self.up_mbit * 125e3, self.latency_ms / 1e3, self.train_s])
        return Link(*map(float, medians * factors))


def _generator(seed: int, index: int, turn: int) -> np.random.Generator:
    """Return the random stream of one domain and turn, whoever computes it."""
    return np.random.default_rng([seed, 0x11, index, turn])
