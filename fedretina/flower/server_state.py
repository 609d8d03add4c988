"""What a server keeps for when it starts again: its streams, and what the nodes acknowledged."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from fedretina.atomic import write_bytes
from fedretina.dom import ReferenceStore
from fedretina.errors import Corrupt
from fedretina.flower.acknowledgements import Acknowledgements
from fedretina.flower.streams import StreamRegistry

STATE = "grid.json"


@dataclass
class ServerState:
    """Streams and acknowledgements of a run; `folder` keeps them (None: memory only)."""

    streams: StreamRegistry
    acknowledgements: Acknowledgements
    folder: Path | None = None

    @classmethod
    def open(cls, store: ReferenceStore, folder: Path | None = None) -> "ServerState":
        """Take up the state that a folder keeps, or begin a new one.

        Raises
        ------
        Corrupt
            If the folder's file is no such state.
        """
        state = cls(StreamRegistry(store, folder), Acknowledgements(), folder)
        if folder is not None and (folder / STATE).exists():
            state._load(folder / STATE)
        return state

    def save(self) -> None:
        """Keep the state; without a folder, nothing is kept."""
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        state = {"streams": self.streams.to_json(), "acknowledgements": self.acknowledgements.to_json()}
        write_bytes(self.folder / STATE, json.dumps(state).encode(), private=True)

    def compare_with(self, nodes: Iterable[int]) -> None:
        """Compare a kept state with the nodes that are there; none of them known: their numbers are another run's."""
        owners = set(self.streams.ownership.owners().values())
        if not set(nodes) & (self.acknowledgements.nodes() | owners):
            self.acknowledgements.clear()
            self.streams.ownership.clear()

    def _load(self, path: Path) -> None:
        try:
            state = json.loads(path.read_bytes())
            self.acknowledgements = Acknowledgements.from_json(state["acknowledgements"])
            self.streams.restore(state["streams"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Corrupt(
                f"{path} is no state of a DomGrid ({error!r}): remove it, and nodes get their models anew"
            ) from None
