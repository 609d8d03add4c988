"""Ours: the difference of models, by `fedretina.dom`."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

import numpy as np

from fedretina.dom import PRESETS, DomConfig, PayloadInfo, Preset, decode, encode, inspect
from fedretina.errors import BadArgument
from fedretina.study.codecs.codec import Array, Codec, Floats, State

_ROUND = "~round"
_CONFIG = frozenset(setting.name for setting in fields(DomConfig))


@dataclass(frozen=True, kw_only=True)
class Dom(Codec):
    """`fedretina.dom` with a `DomConfig`: one-shot payloads, against the state's base, or against zeros without one.

    `Dom.of` takes the fields of `DomConfig` beside `decay`, or a `preset`, which has a configuration for each direction. The
    payload is whole: names, shapes, digests are in it. There is error feedback, but for what is right in the mean
    (`DomConfig.is_unbiased`).
    """

    name = "dom"
    config: DomConfig = field(default_factory=DomConfig)
    decay: float | None = 1.0

    def __post_init__(self) -> None:
        if self.config.is_unbiased and self.decay is not None:
            raise BadArgument(f"codec 'dom' is right in the mean, with decay={self.decay!r}; allowed: None; omit it")

    @classmethod
    def make(cls, settings: Mapping[str, Any], down: Codec | None) -> Self:
        """Return the codec with these fields of `DomConfig`, or this preset, and `decay`."""
        others = {key: value for key, value in settings.items() if key == "decay"}
        config = {key: value for key, value in settings.items() if key in _CONFIG}
        if "preset" not in settings:
            return cls._with(DomConfig(**config), others, down)
        if config or down:
            raise BadArgument("codec 'dom' has preset and other settings of DomConfig; allowed: one of both; leave one out")
        preset = _preset(settings["preset"])
        return cls._with(preset.up, others, cls._with(preset.down, others, None))

    @classmethod
    def _with(cls, config: DomConfig, others: Mapping[str, Any], down: Codec | None) -> Self:
        decay = {"decay": None} if config.is_unbiased else {}
        return cls(config=config, down=down, **{**decay, **others})

    @classmethod
    def own_settings(cls) -> frozenset[str]:
        """Return the fields of `DomConfig`, and what is the codec's own."""
        return _CONFIG | {"decay", "preset"}

    def pack(self, update: Mapping[str, Floats], state: State) -> bytes:
        """Encode the base plus the update."""
        base = self._base(state)
        new = {name: (base[name].astype(np.float32) + values).astype(base[name].dtype) for name, values in update.items()}
        return encode({**base, **new}, base=base, config=self.config)

    def inspect(self, data: bytes, state: State) -> PayloadInfo:
        """Return what the payload says of itself that `encode` has just made with the state."""
        return inspect(data, base=self._base(replace(state, rounds=state.rounds - 1)))

    def unpack(self, data: bytes, state: State) -> Mapping[str, Floats]:
        """Decode, and take the base away."""
        base = self._base(state)
        found = decode(data, base=base)
        return {name: found[name].astype(np.float32) - base[name].astype(np.float32) for name in state.specs}

    def _base(self, state: State) -> dict[str, Array]:
        if state.base is not None:
            return {name: state.base[name] for name in state.specs}
        zeros: dict[str, Array] = {name: np.zeros(spec.shape, np.float32) for name, spec in state.specs.items()}
        # A rotation follows from the base's digest, which is another one in each round of a federation.
        return {**zeros, _ROUND: np.array(state.rounds)} if self.config.rotated else zeros


def _preset(name: Any) -> Preset:
    if name not in PRESETS:
        raise BadArgument(f"codec 'dom' has preset={name!r}; allowed: {', '.join(PRESETS)}; give one of these")
    return PRESETS[name]
