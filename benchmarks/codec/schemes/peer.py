"""The codecs of `fedretina.study.codecs` as schemes."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from codec.schemes.base import Payload, Scheme
from codec.update import Array, Model, Update
from fedretina.dom import is_float
from fedretina.study.codecs import Codec, NNCodec, State, create

_BUFFERS = ("running_mean", "running_var")


class Peer(Scheme):
    """A codec on the differences of the float tensors; what is no float travels as it is.

    Buffers of batch norm, which nobody's optimiser moves and whose differences are large, travel as int8 between their
    extremes with every peer: a sparse scheme would send little else.
    """

    def __init__(self, family: str, label: str, codec: Codec) -> None:
        self.family, self.label, self.codec = family, label, codec

    @classmethod
    def of(cls, family: str, name: str, label: str = "", **settings: Any) -> "Peer":
        """Return the codec of that name with these settings, which are the label unless there is one."""
        words = ", ".join(f"{key} {value}" for key, value in settings.items())
        return cls(family, label or words or family, create(name, **settings))

    def encode(self, update: Update) -> Payload:
        """Code the trained tensors, then the buffers, then the rest."""
        trained, buffers, rest = _sorted(update.base)
        payload = [
            self.codec.encode(_only(update.delta, trained), _state(update.base, trained)),
            create("int8").encode(_only(update.delta, buffers), _state(update.base, buffers)),
            *(update.new[name].tobytes() for name in rest),
        ]
        self.encode_s = NNCodec.seconds["encode"] if isinstance(self.codec, NNCodec) else 0.0
        return payload

    def decode(self, payload: Payload, base: Model) -> dict[str, Array]:
        """Add the differences to the base."""
        trained, buffers, rest = _sorted(base)
        found = self.codec.decode(payload[0], _state(base, trained)) | create("int8").decode(
            payload[1], _state(base, buffers)
        )
        self.decode_s = NNCodec.seconds["decode"] if isinstance(self.codec, NNCodec) else 0.0
        model = {name: (base[name].astype(np.float32) + d).astype(base[name].dtype) for name, d in found.items()}
        whole = zip(rest, payload[2:], strict=True)
        return model | {name: np.frombuffer(data, base[name].dtype).reshape(base[name].shape) for name, data in whole}


def _sorted(base: Model) -> tuple[list[str], list[str], list[str]]:
    """Return the names of trained tensors, of buffers of batch norm, and of what is no float."""
    floats = [name for name in sorted(base) if is_float(base[name].dtype)]
    buffers = [name for name in floats if name.endswith(_BUFFERS)]
    trained = [name for name in floats if name not in set(buffers)]
    return trained, buffers, [name for name in sorted(base) if name not in set(floats)]


def _only(model: Model, names: Iterable[str]) -> Mapping[str, Array]:
    return {name: model[name] for name in names}


def _state(base: Model, names: Iterable[str]) -> State:
    """Return a fresh state: differences are float32, whatever the models are."""
    return State.of({name: np.empty(base[name].shape, np.float32) for name in names})
