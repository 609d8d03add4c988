"""What every codec is: an update to bytes and back, with what each end of a channel keeps."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Self

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from fedretina.errors import BadArgument

Array = NDArray[Any]
Floats = NDArray[np.float32]
Update = Mapping[str, Array]

DOWN = "down_"
_FLOATS = tuple(np.dtype(kind) for kind in (np.float16, ml_dtypes.bfloat16, np.float32, np.float64))


@dataclass(frozen=True)
class TensorSpec:
    """Shape and dtype of a tensor: what both ends know, and no codec sends."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)


@dataclass
class State:
    """What one end of a channel keeps from update to update; sender and receiver have one each.

    Parameters
    ----------
    specs : mapping of str to TensorSpec
        The tensors of an update, in the order in which they are coded.
    base : mapping of str to ndarray, optional
        The model that both ends hold and that the update is added to. Only codecs that look at it need it ("dom").
    seed : int, default 0
        Where codecs that draw by chance begin: equal seeds and updates give equal bytes.
    rounds : int
        Updates that went through this end so far.
    residual : mapping of str to ndarray
        What the updates so far lost, float32: error feedback adds it to the next one.
    memory : dict
        What else a codec keeps, such as an estimate (EF21) or factors (PowerSGD).
    """

    specs: Mapping[str, TensorSpec]
    base: Update | None = None
    seed: int = 0
    rounds: int = 0
    residual: Mapping[str, Floats] = field(default_factory=dict)
    memory: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, model: Update, *, base: Update | None = None, seed: int = 0) -> Self:
        """Return a fresh state for updates with the names, shapes and dtypes of these tensors.

        Examples
        --------
        >>> State.of({"w": np.zeros((2, 3), np.float32)}).specs["w"].size
        6
        """
        return cls({name: TensorSpec(model[name].shape, model[name].dtype) for name in sorted(model)}, base, seed)

    @property
    def size(self) -> int:
        """Number of values of an update."""
        return sum(spec.size for spec in self.specs.values())


@dataclass(frozen=True, kw_only=True)
class Codec(ABC):
    """A way to send updates. A subclass has `pack`, `unpack` and a `name`; its fields are its settings.

    Parameters
    ----------
    decay : float or None
        Error feedback (Seide et al., Interspeech 2014; Karimireddy et al., ICML 2019): the share of what an update lost that
        is added to the next one; 1 is all of it. None is no feedback, the default where the scheme's paper has none.
    down : Codec or None
        What codes the server's step to the clients, if not this codec. `of` makes it of settings that begin with ``down_``.
    """

    name: ClassVar[str]
    decay: float | None = None
    down: "Codec | None" = None

    @classmethod
    def of(cls, **settings: Any) -> Self:
        """Return the codec with these settings; those that begin with ``down_`` replace others on the way down.

        Raises
        ------
        BadArgument
            If the codec has no such setting; the message names the ones that it has.
        """
        unknown = sorted(settings.keys() - cls.setting_names())
        if unknown:
            known = ", ".join(sorted(cls.own_settings()))
            raise BadArgument(
                f"codec {cls.name!r} has no setting {', '.join(unknown)}; it has: {known}; each also with down_ before it"
            )
        up = {name: value for name, value in settings.items() if not name.startswith(DOWN)}
        down = {name.removeprefix(DOWN): value for name, value in settings.items() if name.startswith(DOWN)}
        return cls.make(up, cls.make({**up, **down}, None) if down else None)

    @classmethod
    def make(cls, settings: Mapping[str, Any], down: "Codec | None") -> Self:
        """Return the codec with settings of its own, and a codec for the way down."""
        return cls(**settings, down=down)

    @classmethod
    def own_settings(cls) -> frozenset[str]:
        """Return the names of the codec's settings."""
        return frozenset(setting.name for setting in fields(cls)) - {"down"}

    @classmethod
    def setting_names(cls) -> frozenset[str]:
        """Return the names of what `of` takes: each setting, and each with ``down_`` before it."""
        return frozenset(prefix + name for name in cls.own_settings() for prefix in ("", DOWN))

    @classmethod
    def is_usable(cls) -> bool:
        """Tell whether the packages that the codec needs are installed."""
        return True

    @abstractmethod
    def pack(self, update: Mapping[str, Floats], state: State) -> bytes:
        """Code an update of finite float32 tensors, in the order of `state.specs`."""

    @abstractmethod
    def unpack(self, data: bytes, state: State) -> Mapping[str, Floats]:
        """Return what `pack` coded; every name of `state.specs` is in it."""

    def largest_error(self, update: Update) -> float:
        """Return an upper bound of ``||d - d^||`` over all values of an update; infinite if the scheme has none."""
        return math.inf

    def encode(self, update: Update, state: State) -> bytes:
        """Code an update as it is really sent.

        Parameters
        ----------
        update : mapping of str to ndarray
            Differences of models, of float dtypes: the tensors of `state.specs`.
        state : State
            The sender's; it changes.

        Raises
        ------
        BadArgument
            If a tensor is missing or too many, has another shape or dtype, or holds NaN or infinity.
        """
        wanted = check(update, state)
        if self.decay is not None:
            decay = np.float32(self.decay)
            wanted = {name: values + decay * state.residual.get(name, np.float32(0)) for name, values in wanted.items()}
        data = self.pack(wanted, state)
        if self.decay is not None:
            found = self.unpack(data, state)
            state.residual = {name: values - found[name] for name, values in wanted.items()}
        state.rounds += 1
        return data

    def decode(self, data: bytes, state: State) -> dict[str, Array]:
        """Return the update that arrives, in the shapes and dtypes of `state.specs`.

        Parameters
        ----------
        data : bytes
            What `encode` returned.
        state : State
            The receiver's; it changes.

        Raises
        ------
        Truncated, Corrupt
            If the bytes end early or do not fit.
        """
        found = self.unpack(data, state)
        state.rounds += 1
        return {name: found[name].reshape(spec.shape).astype(spec.dtype) for name, spec in state.specs.items()}


def check(update: Update, state: State) -> dict[str, Floats]:
    """Return the tensors of an update as float32, in the order of `state.specs`; raise `BadArgument` if one does not fit."""
    if update.keys() != state.specs.keys():
        other = sorted(update.keys() ^ state.specs.keys())
        raise BadArgument(f"tensors {other} are not both in the update and in the state; give the same names as to State.of")
    return {name: _checked(name, update[name], spec) for name, spec in state.specs.items()}


def _checked(name: str, values: Array, spec: TensorSpec) -> Floats:
    if (values.shape, values.dtype) != (spec.shape, spec.dtype):
        raise BadArgument(
            f"tensor {name!r} of the update has shape {values.shape} and dtype {values.dtype}; "
            f"the state has {spec.shape} and {spec.dtype}"
        )
    if values.dtype not in _FLOATS:
        raise BadArgument(f"tensor {name!r} has dtype {values.dtype}; codecs code floats; send it beside the update")
    floats = values.astype(np.float32)
    if not np.isfinite(floats).all():
        raise BadArgument(f"tensor {name!r} of the update holds NaN or infinity; codecs code finite values; drop the update")
    return floats
