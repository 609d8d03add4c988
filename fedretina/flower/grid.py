"""The grid of the ServerApp: sends every model as a difference of models, and counts the bytes.

Down: the models of a strategy become versions in the streams of a `StreamRegistry`. Each node gets the cheapest payloads
that lead to them from the versions that it acknowledged (`outgoing`). Up: a reply is checked, and stays compressed until the
strategy reads it (`incoming`, `sources`). A node that cannot decode a message reports the versions that it holds. It gets
other payloads before the strategy sees a reply (`exchange`).
"""

import itertools
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from flwr.app import ArrayRecord, Message, RecordDict
from flwr.serverapp import Grid

from fedretina.dom import ReferenceStore
from fedretina.errors import BadArgument
from fedretina.flower import header
from fedretina.flower.acknowledgements import Acknowledgements
from fedretina.flower.exchange import Exchange
from fedretina.flower.incoming import ReplyUnpacker
from fedretina.flower.nodes import NodeDirectory
from fedretina.flower.ordering import sort_key
from fedretina.flower.precision import RecordRule
from fedretina.flower.relay import SealedRelay, check_seal
from fedretina.flower.server_state import ServerState
from fedretina.flower.server_trust import ServerTrust
from fedretina.flower.sources import ModelCache
from fedretina.flower.statements import StatementLog
from fedretina.flower.streams import StreamRegistry
from fedretina.flower.transfers import (
    DEFAULT_CONFIG,
    Codec,
    ExchangeOptions,
    check_feedback,
    check_unbiased,
    choose_configs,
    preset_schedule,
    read_round,
    round_to_nearest,
)
from fedretina.home import references
from fedretina.ledger import Ledger
from fedretina.trust import Acknowledgement, Identity

POLL_S = 0.1
"""Seconds between two requests for replies."""


class DomGrid(Grid):
    """A grid for any strategy: ``strategy.start(grid=DomGrid(grid), ...)``, with `dom_mod` in the ClientApp.

    Versions that nodes publish are relayed byte for byte, without decoding. Models that the server makes are encoded once
    for each pair of base and new version. A node that lacks a base gets other payloads before the strategy sees a reply. A
    reply that cannot be believed becomes an error reply, as if the node had crashed. Records without weights travel uncoded.

    It behaves as Flower's grids do; `send_and_receive` lists the differences. Use it from one thread.

    Parameters
    ----------
    grid : Grid
        Flower's grid.
    config : DomConfig, callable or None, optional
        How models are coded; by default ``DomConfig(relative_error=0.28)``. A callable gets a `Transfer` (direction,
        message type, round) and returns the configuration for it. None: models travel uncoded, and their bytes are counted.
        If a configuration leaves `rounding` open, models are rounded to nearest, except with ``effort="small"``.
    preset : {"coarse", "balanced", "fine"}, optional
        Takes the place of `config`: configurations up and down that were chosen by the final loss of models, with error
        feedback up (`fedretina.dom.PRESETS`). Give `feedback_down` too where it is allowed: models to the nodes then take
        fewer bytes.
    uplink : {"one-shot", "stream"}, default "one-shot"
        What a reply's model is. "one-shot": a model to be aggregated, coded against the model that the node just received.
        "stream": a version of the node's own stream, which has the record's name. The server keeps it for relaying.
    feedback_up : bool, default False
        Whether nodes add the residual of their last reply (what quantisation lost) to the next reply, unless its mean is 0
        (`DomConfig.is_unbiased`). Versions of streams need none: the next difference contains what quantisation lost.
    feedback_down : Strategy, optional
        The strategy, if the residual of each aggregate is to be added to the next one (unless its mean is 0). By default it
        is not.
    rules : sequence of RecordRule, optional
        Which other records than the model may lose precision, and which may not.
    ledger : Ledger, optional
        Gets a row for every model in a message; by default a ledger in memory.
    store : Path, optional
        Folder of the versions that deltas build on; by default ``references`` in the user's folder.
    streams : Path, optional
        Folder for the payloads of the streams and the state. A DomGrid in another process goes on from them. By default they
        are in memory only.
    trust : Identity, optional
        Keys and checks of the city's server: models are signed and checked both ways. Nodes need theirs too (`DomMod`).
    seal : bool, default False
        Whether nodes seal the versions of their streams for each other. It needs `trust` and ``uplink="stream"``. The server
        relays what it cannot read: a strategy can choose by metrics, and an array of such a model raises `BadArgument`.
    cache_bytes : int, default 256 MiB
        How many bytes of replies stay decoded; other replies are decoded again when the strategy reads them.

    Raises
    ------
    BadArgument
        If a value is not allowed; if `feedback_down` is wrong under its strategy; if models are coded up and not down; if
        `seal` has no `trust`, or the strategy would have to read the replies.

    Examples
    --------
    In a ServerApp::

        result = strategy.start(grid=DomGrid(grid), initial_arrays=arrays, num_rounds=3)
    """

    def __init__(
        self,
        grid: Grid,
        config: Codec = DEFAULT_CONFIG,
        *,
        preset: str | None = None,
        uplink: header.Uplink = "one-shot",
        feedback_up: bool = False,
        feedback_down: Any = None,
        rules: Sequence[RecordRule] = (),
        ledger: Ledger | None = None,
        store: Path | None = None,
        streams: Path | None = None,
        cache_bytes: int = 2**28,
        trust: Identity | None = None,
        seal: bool = False,
    ) -> None:
        if feedback_down is not None:
            check_feedback(feedback_down)
        if seal:
            check_seal(trust, uplink)
        if preset is not None:
            if config is not DEFAULT_CONFIG:
                raise BadArgument(
                    f"DomGrid.preset is {preset!r}, and config is {config!r}; allowed: one of them; leave one out"
                )
            config = preset_schedule(preset, feedback_down=feedback_down is not None)
            feedback_up = True
        if cache_bytes <= 0:
            raise BadArgument(f"DomGrid.cache_bytes is {cache_bytes}; allowed: a positive number of bytes")
        self._grid, self._config, self._uplink = grid, config, uplink
        self._feedback_up, self._feedback_down = feedback_up, feedback_down is not None
        self._rules = tuple(rules)
        self._trust = trust
        self._options("train", 1)  # raises now if the configuration is wrong, not in the first round
        self._calls = itertools.count()
        self.ledger = ledger if ledger is not None else Ledger(None)
        folder = store or references()
        signer = None if trust is None else ServerTrust(trust, StatementLog(streams))
        nodes = NodeDirectory()
        self._state = state = ServerState.open(ReferenceStore(folder), streams, signer)
        if seal and signer is not None:
            state.sealed = SealedRelay(signer, nodes, state.streams.ownership, streams)
        cache = ModelCache(cache_bytes, folder)
        self._exchange = Exchange(
            state,
            ReplyUnpacker(state.streams, state.acknowledgements, cache, signer, state.sealed),
            self._options,
            lambda messages: list(self._grid.push_messages(messages)),
            self.ledger,
            signer,
            nodes,
        )

    @property
    def streams(self) -> StreamRegistry:
        """The streams that the server holds."""
        return self._state.streams

    @property
    def acknowledgements(self) -> Acknowledgements:
        """The versions that each node holds."""
        return self._state.acknowledgements

    @property
    def reports(self) -> dict[str, Acknowledgement]:
        """The last signed report of each domain; empty without trust."""
        return {} if self._state.trust is None else dict(self._state.trust.reports)

    @property
    def nodes(self) -> NodeDirectory:
        """The nodes and their domains. A strategy registers them, so that the ledger has the domains."""
        return self._exchange.nodes

    @property
    def seals(self) -> bool:
        """Whether nodes seal what they publish."""
        return self._state.sealed is not None

    def seal_for(self, stream: str, domains: Iterable[str]) -> None:
        """Say which domains are to read a sealed stream; by default all of the city, without its owner.

        Parameters
        ----------
        stream : str
            The stream.
        domains : iterable of str
            Its readers. The city's front ends are added. The maker seals for those of them that its own city root lists and
            its own policy admits.

        Raises
        ------
        BadArgument
            If the grid does not seal.
        """
        self._relay().set_recipients(stream, domains)

    def sealed_model(self, stream: str) -> ArrayRecord:
        """Return what stands for the newest version of a sealed stream, for a strategy that goes on after a restart.

        Raises
        ------
        BadArgument
            If the grid does not seal, or the stream has no version.
        """
        return self._relay().model(stream)

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
        """Encode and push messages. Every message gets a row in the ledger, also if the grid rejects it.

        Parameters
        ----------
        messages : iterable of Message
            Their ``metadata.message_id`` is set, as by Flower's grids; nothing else in them changes. The caller may change
            their contents after the push: a copy travels.

        Returns
        -------
        iterable of str
            The identifiers that Flower's grid returns. For a message that it rejects, a simulation returns none, and a
            deployment returns None or "".

        Raises
        ------
        ValueError
            If Flower's grid refuses a message, because it is a reply or was delivered already.
        """
        messages, call = list(messages), next(self._calls)
        self._exchange.drop_expired()
        if self._trust is not None:
            self._trust.refresh_root()
        if call == 0:
            self._state.forget_unknown_nodes(self._grid.get_node_ids())
        round_key: object = ("call", call)
        if len(messages) == 1 and (number := read_round(messages[0])):
            round_key = (number, messages[0].metadata.message_type)
        identifiers = self._exchange.send(messages, round_key=round_key)
        self._state.save()
        return identifiers  # type: ignore[return-value]  # Flower's annotation leaves out None, which its grids return

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Return the replies that have come, decoded. A message that had to be sent again has no reply yet.

        Flower's grid returns an error reply for an identifier that is unknown, whose reply was pulled before, or whose time
        to live has ended.
        """
        self._exchange.drop_expired()
        current = [self._exchange.current_id(identifier) for identifier in dict.fromkeys(message_ids)]
        replies = [self._exchange.receive(reply) for reply in list(self._grid.pull_messages(current))]
        if replies:
            self._state.save()
        return [reply for reply in replies if reply is not None]

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        """Push messages, and wait until all replies have come or `timeout` seconds have passed.

        Every missing reply gets a row in the ledger. A reply that comes after the timeout can be pulled until the time to
        live of its message ends.

        Three things differ from Flower's grids:

        - Replies are sorted by their contents, failures last. Sums of floats depend on the order. So equal runs give equal
          models, however Flower numbers the nodes.
        - A message that the grid rejects gets no reply. Flower's HTTP grid asks for a reply to the message "" instead,
          and returns the error.
        - The grid asks for replies every 0.1 seconds. Flower's HTTP grid waits 3 seconds each time.
        """
        waiting = dict.fromkeys(identifier for identifier in self.push_messages(messages) if identifier)
        end = None if timeout is None else time.monotonic() + timeout
        replies: dict[str, Message] = {}
        while waiting and (end is None or time.monotonic() < end):
            pulled = {reply.metadata.reply_to_message_id: reply for reply in self.pull_messages(list(waiting))}
            replies |= pulled
            for identifier in pulled:
                waiting.pop(identifier, None)
            if waiting and not pulled:
                time.sleep(POLL_S)
        for identifier in waiting:
            self._exchange.mark_late(identifier)
        return sorted(replies.values(), key=sort_key)

    def _relay(self) -> SealedRelay:
        if self._state.sealed is None:
            raise BadArgument(
                "this DomGrid does not seal: make it with DomGrid(grid, trust=..., seal=True, uplink='stream')"
            )
        return self._state.sealed

    def _options(self, message_type: str, number: int) -> ExchangeOptions:
        down, up = (round_to_nearest(config) for config in choose_configs(self._config, message_type, number))
        check_unbiased(down, up, feedback_down=self._feedback_down, uplink=self._uplink)
        if self._trust is not None and (down is None or up is None):
            raise BadArgument(
                "config=None with trust: only coded models are signed; give DomConfig(lossless=True) for exact ones"
            )
        return ExchangeOptions(
            down=down,
            up=up,
            uplink=self._uplink,
            feedback_down=self._feedback_down,
            feedback_up=self._feedback_up,
            rules=self._rules,
        )
