"""How models are coded, by direction, kind of message and round; and where error feedback is allowed."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from flwr.app import Message
from flwr.serverapp import strategy as flower

from fedretina.dom import DomConfig
from fedretina.errors import BadArgument
from fedretina.flower import header
from fedretina.flower.precision import RecordRule
from fedretina.flower.sizes import Direction

# Rounded to nearest, an error of .28 takes about the bytes of .25 with a dead zone, and trains better
# (benchmarks/any_strategy networks).
DEFAULT = DomConfig(relative_error=0.28)

_CARRY_THE_ERROR = (flower.FedAdagrad, flower.FedAdam, flower.FedAvgM, flower.FedYogi, flower.QFedAvg)
_START_FROM_WHAT_WAS_SENT = (flower.FedAvg,)


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """One direction of one exchange: what a schedule decides by.

    Parameters
    ----------
    direction : {"down", "up"}
        Server to node, or the reply.
    kind : str
        Flower's message type: "train", "evaluate", "query", or with an action behind it, "train.head".
    round : int
        From the message's group or its configuration's "server-round"; 0 where neither says.
    """

    direction: Direction
    kind: str
    round: int


@dataclass(frozen=True, kw_only=True)
class ExchangeOptions:
    """How models travel in one exchange, down and up (None: as they are), and whether errors are fed back."""

    down: DomConfig | None
    up: DomConfig | None
    uplink: header.Uplink
    feedback_down: bool = False
    feedback_up: bool = False
    rules: tuple[RecordRule, ...] = ()


Schedule = Callable[[Transfer], DomConfig | None]
Codec = DomConfig | Schedule | None


def choose_config(codec: Codec, transfer: Transfer) -> DomConfig | None:
    """Tell how models travel in a transfer; None for as they are.

    Raises
    ------
    BadArgument
        If a schedule returns something else.

    Examples
    --------
    >>> def codec(transfer):
    ...     return DomConfig(bits=3 if transfer.round < 5 else 4) if transfer.kind == "train" else None
    >>> choose_config(codec, Transfer(direction="up", kind="train", round=7)).bits
    4
    """
    if codec is None or isinstance(codec, DomConfig):
        return codec
    chosen = codec(transfer)
    if chosen is not None and not isinstance(chosen, DomConfig):
        raise BadArgument(f"the schedule returned {chosen!r} for {transfer}: return a DomConfig, or None for no coding")
    return chosen


def choose_configs(codec: Codec, kind: str, number: int) -> tuple[DomConfig | None, DomConfig | None]:
    """Tell how models travel in one exchange, down and up.

    Raises
    ------
    BadArgument
        If they go down as they are and come up coded: the reply is coded against what went down, and a node remembers
        that only if it came coded.
    """
    down, up = (choose_config(codec, Transfer(direction=way, kind=kind, round=number)) for way in ("down", "up"))
    if down is None and up is not None:
        raise BadArgument(
            f"{kind!r} of round {number}: no coding down, but {up} up, which would have no base; "
            "use DomConfig(lossless=True) down"
        )
    return down, up


def unbiased(config: DomConfig | None) -> DomConfig | None:
    """Round to nearest where the configuration leaves the rounding open.

    A dead zone has a smaller squared error for its bits, and makes each update shorter by some percent, down and up: the
    first rounds lag behind. What is rounded to nearest keeps its length, and the mean over nodes averages its error out.
    ``effort="small"`` optimises integers for their bits, and stays as it is.

    Examples
    --------
    >>> unbiased(DomConfig()).rounding, unbiased(DomConfig(effort="small")).rounding
    ('nearest', None)
    """
    if config is None or config.lossless or config.rounding is not None or config.effort == "small":
        return config
    return replace(config, rounding="nearest")


def read_round(message: Message) -> int:
    """Tell a message's round: its group, as Flower's legacy loop numbers them, or "server-round" in its configuration."""
    group = message.metadata.group_id
    if group.isdecimal():
        return int(group)
    configs = message.content.config_records.values() if message.has_content() else ()
    told = next((config["server-round"] for config in configs if "server-round" in config), 0)
    return told if isinstance(told, int) and told >= 0 else 0


def check_feedback(strategy: Any) -> None:
    """Refuse error feedback down under a strategy that carries the error itself.

    The server's next aggregate must start from the version that it *sent*: then what quantisation lost is lost unless it
    is added to the next version. FedAdam and its like keep the model that they *made*, so the loss is in the next
    difference anyway, and would be added twice.

    Parameters
    ----------
    strategy : Strategy
        One of Flower's, perhaps within wrappers (differential privacy); or one derived from FedAvg.

    Raises
    ------
    BadArgument
        If it carries the error, or is none that is known here.

    Examples
    --------
    >>> check_feedback(flower.FedMedian())
    """
    name, inner = type(strategy).__name__, strategy
    while not isinstance(inner, _START_FROM_WHAT_WAS_SENT) and hasattr(inner, "strategy"):
        inner = inner.strategy
    if isinstance(inner, _CARRY_THE_ERROR):
        raise BadArgument(
            f"feedback_down under {name}: it keeps the model that it made, so the next difference carries what "
            "quantisation lost; leave feedback_down out"
        )
    if not isinstance(inner, _START_FROM_WHAT_WAS_SENT):
        raise BadArgument(
            f"feedback_down under {name}: whether its next aggregate starts from the version that was sent is not known; "
            "derive it from FedAvg, or leave feedback_down out"
        )
