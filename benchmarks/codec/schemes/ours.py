"""Ours, through its public interface: whatever `fedretina.dom` is installed is what is measured."""

from codec.schemes.base import Payload, Scheme
from codec.update import Array, Model, Update
from fedretina.dom import DomConfig, decode, encode


class Ours(Scheme):
    """`encode` and `decode` with one configuration."""

    uses_dom = True

    def __init__(self, family: str, label: str, config: DomConfig) -> None:
        self.family = family
        self.label = label
        self.config = config

    def encode(self, update: Update) -> Payload:
        return [encode(update.new, base=update.base, config=self.config)]

    def decode(self, payload: Payload, base: Model) -> dict[str, Array]:
        return decode(payload[0], base=base)
