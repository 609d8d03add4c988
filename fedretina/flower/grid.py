"""The server's half: a grid that sends every model as a difference of models, and counts what is sent.

Down: the models of a strategy become versions in the streams of a `StreamRegistry`. Each node gets the cheapest payloads
that lead to them from what it acknowledged (`outgoing`). Up: a reply is decoded once to see that it is sound, and stays
compressed until the strategy reads it (`incoming`, `lazy`). A node that could not decode says so and what it holds; it gets
other payloads before the strategy hears of it (`exchange`).
"""

import itertools
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from flwr.app import Message, RecordDict
from flwr.serverapp import Grid

from fedretina.dom import ReferenceStore
from fedretina.errors import BadArgument
from fedretina.flower import header
from fedretina.flower.acknowledgements import Acknowledgements
from fedretina.flower.exchange import Exchange
from fedretina.flower.incoming import Unpacker
from fedretina.flower.lazy import Pool
from fedretina.flower.nodes import NodeDirectory
from fedretina.flower.ordering import sort_key
from fedretina.flower.precision import RecordRule
from fedretina.flower.server_state import ServerState
from fedretina.flower.streams import StreamRegistry
from fedretina.flower.transfers import DEFAULT, Codec, ExchangeOptions, check_feedback, choose_configs, read_round, unbiased
from fedretina.home import references
from fedretina.ledger import Ledger

POLL_S = 0.1


class DomGrid(Grid):
    """A grid for any strategy: ``strategy.start(grid=DomGrid(grid), ...)``, with `dom_mod` in the ClientApp.

    Models that nodes published are relayed byte for byte; models that the server makes are encoded once per (base, new).
    A node that lacks a base is served in another way before the strategy hears of it. A reply that cannot be believed
    becomes an error reply, as a crash of the node would. Records that hold no weights travel as they are.

    It behaves as Flower's grids do; `send_and_receive` names the differences. Use it from one thread.

    Parameters
    ----------
    grid : Grid
        Flower's.
    config : DomConfig, callable or None, optional
        How models are coded; by default ``DomConfig(relative_error=0.28)``. A callable gets a `Transfer` (direction, kind of
        message, round) and returns the configuration for it. None sends models as they are, and only counts. Where a
        configuration leaves `rounding` open, it is "nearest" here, except with ``effort="small"``: see
        `fedretina.flower.transfers.unbiased`.
    uplink : {"one-shot", "stream"}, default "one-shot"
        What a reply's model is: something to be aggregated, coded against the model that the node just received; or a
        version of the node's own stream (named as the record is), kept, and relayed as published.
    feedback_up : bool, default False
        Whether nodes add what quantisation lost of their last reply to the next one.
    feedback_down : Strategy, optional
        Name the strategy here to have what quantisation lost of the last aggregate added to the next one.
    rules : sequence of RecordRule, optional
        Which records may lose precision beside the model, and which must not; see `RecordRule`.
    ledger : Ledger, optional
        Where a row for every model goes; by default one in memory.
    store : Path, optional
        Folder of the versions that deltas build on; by default ``references`` in the user's folder.
    streams : Path, optional
        Folder in which the payloads of the streams and the state are kept: a DomGrid that is made with it again, in
        another process, goes on where this one was.
    pool_bytes : int, default 256 MiB
        How much of the replies is kept decoded; the rest is decoded again when the strategy reads it.

    Raises
    ------
    BadArgument
        If `feedback_down` names a strategy under which that is wrong, or models are to come up coded and go down as
        they are.
    """

    def __init__(
        self,
        grid: Grid,
        config: Codec = DEFAULT,
        *,
        uplink: header.Uplink = "one-shot",
        feedback_up: bool = False,
        feedback_down: Any = None,
        rules: Sequence[RecordRule] = (),
        ledger: Ledger | None = None,
        store: Path | None = None,
        streams: Path | None = None,
        pool_bytes: int = 2**28,
    ) -> None:
        if feedback_down is not None:
            check_feedback(feedback_down)
        if feedback_up and uplink == "stream":
            raise BadArgument("feedback_up with uplink='stream': a stream's next difference carries the error; leave it out")
        if pool_bytes <= 0:
            raise BadArgument(f"DomGrid.pool_bytes is {pool_bytes}; allowed: a positive number of bytes")
        self._grid, self._config, self._uplink = grid, config, uplink
        self._feedback_up, self._feedback_down = feedback_up, feedback_down is not None
        self._rules = tuple(rules)
        self._options("train", 1)  # what is wrong with the configuration is better said now
        self._calls = itertools.count()
        self.ledger = ledger if ledger is not None else Ledger(None)
        folder = store or references()
        self._state = ServerState.open(ReferenceStore(folder), streams)
        self._exchange = Exchange(
            self._state,
            Unpacker(self._state.streams, self._state.acknowledgements, Pool(pool_bytes, folder)),
            self._options,
            lambda messages: list(self._grid.push_messages(messages)),
            self.ledger,
        )

    @property
    def streams(self) -> StreamRegistry:
        """The streams that the server holds."""
        return self._state.streams

    @property
    def acknowledgements(self) -> Acknowledgements:
        """What each node holds."""
        return self._state.acknowledgements

    @property
    def nodes(self) -> NodeDirectory:
        """What the nodes host; whoever knows it registers it, and the ledger names the domains."""
        return self._exchange.nodes

    def set_run(self, run: Any) -> None:
        """Pass on to Flower's grid."""
        self._grid.set_run(run)

    @property
    def run(self) -> Any:
        """Flower's description of the run."""
        return self._grid.run

    def create_message(
        self, content: RecordDict, message_type: str, dst_node_id: int, group_id: str, ttl: float | None = None
    ) -> Message:
        """Pass on to Flower's grid."""
        return self._grid.create_message(content, message_type, dst_node_id, group_id, ttl)

    def get_node_ids(self) -> Iterable[int]:
        """Pass on to Flower's grid."""
        return self._grid.get_node_ids()

    def get_nodes(self) -> Iterable[Any]:
        """Pass on to Flower's grid."""
        return self._grid.get_nodes()

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Encode and push. Every message leaves a row in the ledger, also one that the grid rejects.

        Parameters
        ----------
        messages : iterable of Message
            Their ``metadata.message_id`` is set, as Flower's grids do; nothing else in them changes. The caller may change
            their contents after the push: what travels is a copy.

        Returns
        -------
        iterable of str
            What Flower's grid returns. For a message that it rejects, that is nothing in a simulation, and None or "" in
            a deployment.

        Raises
        ------
        ValueError
            If Flower's grid refuses a message, because it is a reply or was delivered already.
        """
        messages, call = list(messages), next(self._calls)
        self._exchange.drop_expired()
        if call == 0:
            self._state.compare_with(self._grid.get_node_ids())
        round_key: object = ("call", call)
        if len(messages) == 1 and (number := read_round(messages[0])):
            round_key = (number, messages[0].metadata.message_type)
        identifiers = self._exchange.send(messages, round_key=round_key)
        self._state.save()
        return identifiers  # type: ignore[return-value]  # Flower's annotation leaves out None, which its grids return

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Fetch the replies that have come, decoded. A message that had to be sent again has no reply yet.

        An identifier that is unknown, whose reply was pulled before, or whose time to live has ended gets an error reply
        from Flower's grid.
        """
        self._exchange.drop_expired()
        current = [self._exchange.current_id(identifier) for identifier in dict.fromkeys(message_ids)]
        replies = [self._exchange.receive(reply) for reply in list(self._grid.pull_messages(current))]
        if replies:
            self._state.save()
        return [reply for reply in replies if reply is not None]

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        """Push, and wait until all have answered or `timeout` seconds have passed; each missing reply leaves a row.

        A reply that comes after the timeout can be pulled until the time to live of its message ends.

        Three things differ from Flower's grids:

        - The replies come in an order that follows from what they carry, failures last; see `fedretina.flower.ordering`.
          Sums of floats depend on the order. So equal runs give equal models, however Flower numbers the nodes.
        - A message that the grid rejects gets no reply. Flower's HTTP grid asks for a reply to the message "" instead,
          and returns the error.
        - Replies are asked for every 0.1 seconds. Flower's HTTP grid waits 3 seconds each time.
        """
        waiting = dict.fromkeys(identifier for identifier in self.push_messages(messages) if identifier)
        end = None if timeout is None else time.monotonic() + timeout
        replies: dict[str, Message] = {}
        while waiting and (end is None or time.monotonic() < end):
            news = {reply.metadata.reply_to_message_id: reply for reply in self.pull_messages(list(waiting))}
            replies |= news
            for identifier in news:
                waiting.pop(identifier, None)
            if waiting and not news:
                time.sleep(POLL_S)
        for identifier in waiting:
            self._exchange.give_up(identifier)
        return sorted(replies.values(), key=sort_key)

    def _options(self, kind: str, number: int) -> ExchangeOptions:
        down, up = (unbiased(config) for config in choose_configs(self._config, kind, number))
        return ExchangeOptions(
            down=down,
            up=up,
            uplink=self._uplink,
            feedback_down=self._feedback_down,
            feedback_up=self._feedback_up,
            rules=self._rules,
        )
