"""No compression: every value as float32."""

from collections.abc import Mapping
from dataclasses import dataclass

from fedretina.study.codecs.codec import Codec, Floats, State, Update
from fedretina.study.codecs.layout import Reader, flatten, split


@dataclass(frozen=True, kw_only=True)
class Uncoded(Codec):
    """32 bits a value: what FedAvg sends (McMahan et al., AISTATS 2017)."""

    name = "none"

    def pack(self, update: Mapping[str, Floats], state: State) -> bytes:
        """Write the values one after the other."""
        return flatten(update).astype("<f4").tobytes()

    def unpack(self, data: bytes, state: State) -> Mapping[str, Floats]:
        """Read them."""
        reader = Reader(data)
        values = reader.take("<f4", state.size).astype("f4")
        reader.finish()
        return split(values, state)

    def largest_error(self, update: Update) -> float:
        """Return 0."""
        return 0.0
