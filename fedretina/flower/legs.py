"""How models are coded, by direction, kind of message and round; and where error feedback is allowed."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from flwr.app import Message
from flwr.serverapp import strategy as flower

from fedretina.dom import DomConfig
from fedretina.errors import BadArgument

Direction = Literal["down", "up"]

# Rounded to nearest, an error of .3 takes about the bytes of .25 with a dead zone, and trains better
# (benchmarks/any_strategy networks).
DEFAULT = DomConfig(relative_error=0.3)

_CARRY_THE_ERROR = (flower.FedAdagrad, flower.FedAdam, flower.FedAvgM, flower.FedYogi, flower.QFedAvg)
_START_FROM_WHAT_WAS_SENT = (flower.FedAvg,)


@dataclass(frozen=True, kw_only=True)
class Leg:
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


Schedule = Callable[[Leg], DomConfig | None]
Codec = DomConfig | Schedule | None


def config_for(codec: Codec, leg: Leg) -> DomConfig | None:
    """Tell how models travel on a leg; None for as they are.

    Raises
    ------
    BadArgument
        If a schedule returns something else.

    Examples
    --------
    >>> def codec(leg):
    ...     return DomConfig(bits=3 if leg.round < 5 else 4) if leg.kind == "train" else None
    >>> config_for(codec, Leg(direction="up", kind="train", round=7)).bits
    4
    """
    if codec is None or isinstance(codec, DomConfig):
        return codec
    chosen = codec(leg)
    if chosen is not None and not isinstance(chosen, DomConfig):
        raise BadArgument(f"the schedule returned {chosen!r} for {leg}: return a DomConfig, or None for no coding")
    return chosen


def both_legs(codec: Codec, kind: str, number: int) -> tuple[DomConfig | None, DomConfig | None]:
    """Tell how models travel in one exchange, down and up.

    Raises
    ------
    BadArgument
        If they go down as they are and come up coded: the reply is coded against what went down, and a node remembers
        that only if it came coded.
    """
    down, up = (config_for(codec, Leg(direction=way, kind=kind, round=number)) for way in ("down", "up"))
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


def round_of(message: Message) -> int:
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
