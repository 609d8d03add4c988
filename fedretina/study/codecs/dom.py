"""Ours: the difference of models, by `fedretina.dom`."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

import numpy as np

from fedretina.dom import DomConfig, decode, encode
from fedretina.study.codecs.codec import Array, Codec, Floats, State

_CONFIG = frozenset(setting.name for setting in fields(DomConfig))


@dataclass(frozen=True, kw_only=True)
class Dom(Codec):
    """`fedretina.dom` with a `DomConfig`: one-shot payloads, against the state's base, or against zeros without one.

    `Dom.of` takes the fields of `DomConfig` beside `decay`. The payload is whole: names, shapes, digests are in it.
    """

    name = "dom"
    config: DomConfig = field(default_factory=DomConfig)
    decay: float | None = 1.0

    @classmethod
    def of(cls, **settings: Any) -> Self:
        """Return the codec with these fields of `DomConfig`, and `decay`."""
        config = {key: value for key, value in settings.items() if key in _CONFIG}
        others = {key: value for key, value in settings.items() if key not in _CONFIG}
        return super().of(**others, **({"config": DomConfig(**config)} if config else {}))

    @classmethod
    def setting_names(cls) -> frozenset[str]:
        """Return the fields of `DomConfig`, and `decay`."""
        return _CONFIG | {"decay"}

    def pack(self, update: Mapping[str, Floats], state: State) -> bytes:
        """Encode the base plus the update."""
        base = _base(state)
        new = {name: (base[name].astype(np.float32) + values).astype(base[name].dtype) for name, values in update.items()}
        return encode(new, base=base, config=self.config)

    def unpack(self, data: bytes, state: State) -> Mapping[str, Floats]:
        """Decode, and take the base away."""
        base = _base(state)
        found = decode(data, base=base)
        return {name: found[name].astype(np.float32) - base[name].astype(np.float32) for name in state.specs}


def _base(state: State) -> dict[str, Array]:
    if state.base is None:
        return {name: np.zeros(spec.shape, np.float32) for name, spec in state.specs.items()}
    return {name: state.base[name] for name in state.specs}
