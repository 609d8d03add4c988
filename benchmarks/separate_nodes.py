"""A mod that gives each node of a simulation a store of its own, as if each were a machine of its own."""

from collections.abc import Callable
from pathlib import Path

from flwr.app import Context, Message

from fedretina.flower import DomMod

App = Callable[[Message, Context], Message]


def separate_nodes(folder: Path) -> Callable[[Message, Context, App], Message]:
    """Return `dom_mod` with a folder for each node."""
    mods: dict[int, DomMod] = {}

    def mod(message: Message, context: Context, call_next: App) -> Message:
        node = context.node_id
        return mods.setdefault(node, DomMod(folder / str(node)))(message, context, call_next)

    return mod
