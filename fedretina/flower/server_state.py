"""The state of a server that outlives its process: the streams, and what the nodes acknowledged."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from fedretina.atomic import write_bytes
from fedretina.dom import ReferenceStore
from fedretina.errors import Corrupt
from fedretina.flower.acknowledgements import Acknowledgements
from fedretina.flower.relay import SealedRelay
from fedretina.flower.server_trust import ServerTrust
from fedretina.flower.streams import StreamRegistry

STATE_FILE = "grid.json"


@dataclass
class ServerState:
    """Streams and acknowledgements of a run, saved in `folder` (None: in memory only)."""

    streams: StreamRegistry
    acknowledgements: Acknowledgements
    folder: Path | None = None
    trust: ServerTrust | None = None
    sealed: SealedRelay | None = None

    @classmethod
    def open(cls, store: ReferenceStore, folder: Path | None = None, trust: ServerTrust | None = None) -> "ServerState":
        """Return the state that is saved in a folder, or a new one.

        Raises
        ------
        Corrupt
            If the folder's file cannot be read as a state.
        """
        state = cls(StreamRegistry(store, folder), Acknowledgements(), folder, trust)
        if folder is not None and (folder / STATE_FILE).exists():
            state._load(folder / STATE_FILE)
        return state

    def save(self) -> None:
        """Save the state; without a folder, do nothing."""
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        state = {"streams": self.streams.to_json(), "acknowledgements": self.acknowledgements.to_json()}
        write_bytes(self.folder / STATE_FILE, json.dumps(state).encode(), private=True)

    def forget_unknown_nodes(self, nodes: Iterable[int]) -> None:
        """Forget acknowledgements and owners if none of these nodes is known: the saved identifiers are of another run."""
        owners = set(self.streams.ownership.owners().values())
        if not set(nodes) & (self.acknowledgements.nodes() | owners):
            self.acknowledgements.clear()
            self.streams.ownership.restore({})

    def _load(self, path: Path) -> None:
        try:
            state = json.loads(path.read_bytes())
            self.acknowledgements = Acknowledgements.from_json(state["acknowledgements"])
            self.streams.restore(state["streams"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Corrupt(
                f"{path} is not the saved state of a DomGrid ({error!r}): remove it; nodes then get whole models again"
            ) from None
