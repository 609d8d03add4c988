"""The traffic of a method: how many bodies travel, and the bytes of their payloads."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from fedretina.dom import DomConfig, Version, publish

CODEC = DomConfig(relative_error=0.25, keyframe_error=0.02, lattice=True)
State = Mapping[str, Tensor]


class Traffic:
    """Counts models and bytes as `fedretina.flower` would send them, with the settings of the app.

    A receiver gets the difference to the version that it holds; its first version is a keyframe. The training in this
    process goes on with the exact models.

    Examples
    --------
    >>> import torch
    >>> traffic, body = Traffic(), {"w": torch.ones(1000)}
    >>> traffic.send("shared", body, ["duke", "msmt17"])
    >>> traffic.reply("shared", "duke", {"w": torch.zeros(1000)})
    >>> traffic.transfers, 0 < traffic.bytes < 3 * 4000
    (3, True)
    """

    def __init__(self) -> None:
        self.transfers = self.bytes = 0
        self._held: dict[tuple[str, str], Version] = {}

    def send(self, stream: str, state: State, receivers: Sequence[str]) -> None:
        """Count a version of a stream on its way to its receivers; one that holds it already gets nothing."""
        version = _version(state)
        for receiver in receivers:
            held = self._held.get((stream, receiver))
            if held is None or held.digest != version.digest:
                self._count(version, held)
                self._held[stream, receiver] = version

    def reply(self, stream: str, sender: str, state: State) -> None:
        """Count a body on its way to the server, as the difference to the version that its sender received."""
        self._count(_version(state), self._held[stream, sender])

    def publish(self, state: State, *, receivers: int) -> None:
        """Count a first version on its way from its domain to the server, and from there to its receivers, relayed."""
        payload = publish(_version(state).model, base=None, config=CODEC).payload
        self.add(1 + receivers, (1 + receivers) * len(payload))

    def metrics(self) -> dict[str, float]:
        """Return the numbers as metrics of a method."""
        return {"transfers": float(self.transfers), "bytes": float(self.bytes), "megabytes": self.bytes / 1e6}

    def add(self, transfers: int, size: int) -> None:
        """Add what was counted before."""
        self.transfers += transfers
        self.bytes += size

    def _count(self, version: Version, base: Version | None) -> None:
        self.add(1, len(publish(version.model, base=base, config=CODEC).payload))


def _version(state: State) -> Version:
    return Version.of({name: value.detach().cpu().numpy() for name, value in state.items()})
