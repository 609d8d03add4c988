"""How models are coded, by direction, message type and round; and under which strategies error feedback is allowed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from flwr.app import Message
from flwr.serverapp import strategy as flower

from fedretina.dom import PRESETS, DomConfig
from fedretina.errors import BadArgument
from fedretina.flower import header
from fedretina.flower.precision import RecordRule
from fedretina.flower.sizes import Direction

# With rounding to nearest, a relative error of 0.28 takes about the bytes of 0.25 with a dead zone, and trains better
# (python benchmarks/any_strategy networks).
DEFAULT_CONFIG = DomConfig(relative_error=0.28)
_MOST_BY_CHANCE = 2.0  # RMS: coarser steps, rounded by chance, lose more than the difference itself

_KEEP_THEIR_OWN_MODEL = (flower.FedAdagrad, flower.FedAdam, flower.FedAvgM, flower.FedYogi, flower.QFedAvg)
_START_FROM_SENT_MODEL = (flower.FedAvg,)


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """One direction of one exchange; a schedule decides by it.

    Parameters
    ----------
    direction : {"down", "up"}
        Server to node, or node to server.
    message_type : str
        Flower's message type: "train", "evaluate", "query"; or with an action, such as "train.head".
    round : int
        From the message's group identifier, or from "server-round" in its configuration; 0 if neither has it.
    """

    direction: Direction
    message_type: str
    round: int


@dataclass(frozen=True, kw_only=True)
class ExchangeOptions:
    """How models travel in one exchange, down and up (None: uncoded), and whether residuals are fed back."""

    down: DomConfig | None
    up: DomConfig | None
    uplink: header.Uplink
    feedback_down: bool = False
    feedback_up: bool = False
    rules: tuple[RecordRule, ...] = ()


Schedule = Callable[[Transfer], DomConfig | None]
Codec = DomConfig | Schedule | None


def choose_config(codec: Codec, transfer: Transfer) -> DomConfig | None:
    """Return how models are coded in a transfer; None: not at all.

    Raises
    ------
    BadArgument
        If a schedule returns neither a DomConfig nor None.

    Examples
    --------
    >>> def codec(transfer):
    ...     return DomConfig(bits=3 if transfer.round < 5 else 4) if transfer.message_type == "train" else None
    >>> choose_config(codec, Transfer(direction="up", message_type="train", round=7)).bits
    4
    """
    if codec is None or isinstance(codec, DomConfig):
        return codec
    chosen = codec(transfer)
    if chosen is not None and not isinstance(chosen, DomConfig):
        raise BadArgument(f"the schedule returned {chosen!r} for {transfer}: return a DomConfig, or None for no coding")
    return chosen


def choose_configs(codec: Codec, message_type: str, number: int) -> tuple[DomConfig | None, DomConfig | None]:
    """Return how models are coded in one exchange, down and up.

    Raises
    ------
    BadArgument
        If they are coded up and not down: a reply is coded against the model that went down, and a node keeps only models
        that came coded.
    """
    down, up = (
        choose_config(codec, Transfer(direction=each, message_type=message_type, round=number)) for each in ("down", "up")
    )
    if down is None and up is not None:
        raise BadArgument(
            f"{message_type!r} of round {number}: models are coded up ({up}) but not down, so replies have no base; "
            "use DomConfig(lossless=True) down"
        )
    return down, up


def preset_schedule(name: str, *, feedback_down: bool) -> Schedule:
    """Return the schedule of a preset.

    Parameters
    ----------
    name : str
        One of `fedretina.dom.PRESETS`.
    feedback_down : bool
        Whether the server adds what quantisation lost to the next model that it sends.

    Raises
    ------
    BadArgument
        If there is no preset of that name.

    Examples
    --------
    >>> schedule = preset_schedule("coarse", feedback_down=True)
    >>> schedule(Transfer(direction="up", message_type="train", round=1)) == PRESETS["coarse"].up
    True
    """
    if name not in PRESETS:
        raise BadArgument(f"preset is {name!r}; allowed: {', '.join(map(repr, PRESETS))}; give one of these")
    preset = PRESETS[name]
    down = preset.down if feedback_down else preset.down_without_feedback
    return lambda transfer: preset.up if transfer.direction == "up" else down


def presets_by_type(config: DomConfig, presets: Mapping[str, str]) -> Schedule:
    """Return a schedule in which messages of some types travel by presets, and all others as configured.

    Give the grid ``feedback_up=True`` too: presets were chosen with it. First versions stay as fine as configured.

    Parameters
    ----------
    config : DomConfig
        For all other types.
    presets : mapping of str to str
        By message type: one of `fedretina.dom.PRESETS`.

    Raises
    ------
    BadArgument
        If there is no preset of a name.

    Examples
    --------
    >>> schedule = presets_by_type(DomConfig(relative_error=0.25), {"train.joint": "coarse"})
    >>> schedule(Transfer(direction="up", message_type="train.joint", round=1)).rms_step
    2.0
    >>> schedule(Transfer(direction="up", message_type="train", round=1)).relative_error
    0.25
    """
    schedules = {kind: preset_schedule(name, feedback_down=False) for kind, name in presets.items()}

    def choose(transfer: Transfer) -> DomConfig | None:
        schedule = schedules.get(transfer.message_type)
        chosen = schedule(transfer) if schedule else None
        return config if chosen is None else replace(chosen, keyframe_error=config.keyframe_error)

    return choose


def check_unbiased(down: DomConfig | None, up: DomConfig | None, *, feedback_down: bool, uplink: header.Uplink) -> None:
    """Raise if coarse steps that are right only in the mean are used where differences contain what quantisation lost.

    A rotated difference, or one that is rounded by chance to steps over twice the RMS, loses more than it keeps. In a series
    of differences against what was published, each one contains the loss of the one before: losses would grow from round to
    round.

    Raises
    ------
    BadArgument
        If replies are versions of the node's own stream; if it is not known that the strategy starts from the model that
        was sent, see `check_feedback`.

    Examples
    --------
    >>> check_unbiased(None, DomConfig(rms_step=4, rotated=True), feedback_down=False, uplink="one-shot")
    """
    if up is not None and uplink == "stream" and (what := _adds_up(up)):
        raise BadArgument(
            f"DomConfig.{what} up with uplink='stream': the next difference of a stream contains what quantisation lost, "
            f"which would grow; leave {what} out, and give an rms_step of at most 2"
        )
    if down is not None and not feedback_down and (what := _adds_up(down)):
        raise BadArgument(
            f"DomConfig.{what} down without feedback_down: it is right only if the strategy starts from the model that was "
            f"sent; give feedback_down=strategy, which checks that, or leave {what} out"
        )


def _adds_up(config: DomConfig) -> str:
    """Return the field by which a configuration loses more than it keeps, where nothing is fed back; "" if it does not."""
    if config.rotated:
        return "rotated"
    coarse = config.rms_step is not None and config.rms_step > _MOST_BY_CHANCE
    return "rounding" if config.rounding == "stochastic" and coarse else ""


def round_to_nearest(config: DomConfig | None) -> DomConfig | None:
    """Return the configuration with rounding to nearest, if it leaves the rounding open.

    A dead zone has a smaller squared error at the same size, but makes every update shorter by some percent, down and up:
    the first rounds lag behind. Rounding to nearest keeps the length, and the mean over nodes averages the errors out.
    ``effort="small"`` has a rounding of its own, and does not change.

    Examples
    --------
    >>> round_to_nearest(DomConfig()).rounding, round_to_nearest(DomConfig(effort="small")).rounding
    ('nearest', None)
    """
    if config is None or config.lossless or config.rounding is not None or config.effort == "small":
        return config
    return replace(config, rounding="nearest")


def read_round(message: Message) -> int:
    """Return a message's round: its group identifier, as in Flower's legacy loop, or "server-round" in its configuration."""
    group = message.metadata.group_id
    if group.isdecimal():
        return int(group)
    configs = message.content.config_records.values() if message.has_content() else ()
    number = next((config["server-round"] for config in configs if "server-round" in config), 0)
    return number if isinstance(number, int) and number >= 0 else 0


def check_feedback(strategy: Any) -> None:
    """Raise if error feedback down is wrong under a strategy.

    It is right if the next aggregate starts from the version that was *sent*: without feedback, what quantisation lost would
    be lost for ever. FedAdam and similar strategies keep the model that they *made*. Their next difference contains what
    quantisation lost, and feedback would add it twice.

    Parameters
    ----------
    strategy : Strategy
        One of Flower's, perhaps in wrappers (differential privacy), or one derived from FedAvg.

    Raises
    ------
    BadArgument
        If the strategy keeps its own model, or is not derived from a strategy that is known here.

    Examples
    --------
    >>> check_feedback(flower.FedMedian())
    """
    name, inner = type(strategy).__name__, strategy
    while not isinstance(inner, _START_FROM_SENT_MODEL) and hasattr(inner, "strategy"):
        inner = inner.strategy
    if isinstance(inner, _KEEP_THEIR_OWN_MODEL):
        raise BadArgument(
            f"feedback_down under {name}: it keeps the model that it made, so its next difference contains what "
            "quantisation lost; leave feedback_down out"
        )
    if not isinstance(inner, _START_FROM_SENT_MODEL):
        raise BadArgument(
            f"feedback_down under {name}: it is not known whether its next aggregate starts from the version that was sent; "
            f"derive {name} from FedAvg, or leave feedback_down out"
        )
