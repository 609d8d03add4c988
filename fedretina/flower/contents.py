"""Copies of the contents that a strategy pushes: it may change the originals after the push."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from flwr.app import Array, ArrayRecord, Message, RecordDict

from fedretina.dom import Model
from fedretina.flower import records
from fedretina.flower.lazy import source_of
from fedretina.flower.sealed import SealedSource
from fedretina.flower.sizes import message_size, undecoded_size, wire_size
from fedretina.flower.sources import Source, StreamSource


@dataclass(eq=False)
class RecordCopy:
    """A copy of an ArrayRecord of one push.

    Parameters
    ----------
    original : ArrayRecord
        The record that the strategy pushed.
    shared : bool
        Whether several nodes get the same arrays.
    """

    original: ArrayRecord
    shared: bool = False

    def __post_init__(self) -> None:
        self.record = self.original.copy()

    @property
    def source(self) -> Source | None:
        """The source of its arrays; None if they are in memory."""
        return source_of(self.record)

    @property
    def is_relayed(self) -> bool:
        """Whether it is a version that a node published, which may not be decoded yet."""
        return isinstance(self.source, StreamSource | SealedSource)

    @cached_property
    def plain_bytes(self) -> int:
        """Its size as plain Flower sends it, in bytes."""
        source = self.source
        if isinstance(source, SealedSource):
            return source.plain_bytes("down")
        if isinstance(source, StreamSource):
            return undecoded_size(source.specs, "down")
        return wire_size(self.record, "down")

    @cached_property
    def model(self) -> Model | None:
        """Its arrays; None if DoM cannot code them."""
        return records.read_model(self.record)


@dataclass(eq=False)
class ContentCopy:
    """A copy of a content of one push; `arrays` has its ArrayRecords."""

    original: RecordDict
    arrays: dict[str, RecordCopy]

    def __post_init__(self) -> None:
        others = {name: record.copy() for name, record in self.original.items() if name not in self.arrays}
        self.content = RecordDict(
            {name: self.arrays[name].record if name in self.arrays else others[name] for name in self.original}
        )

    @cached_property
    def plain_bytes(self) -> int:
        """Size of a message with this content as plain Flower sends it, in bytes; relayed records are not read for it."""
        relayed = {name: record for name, record in self.arrays.items() if record.is_relayed}
        stand_ins = {name: ArrayRecord({"": Array(np.array(i))}) for i, name in enumerate(relayed)}
        others = message_size(records.replace_records(self.content, stand_ins), "down")
        return others + sum(relayed[name].plain_bytes - wire_size(stand_ins[name], "down") for name in relayed)


def copy_contents(messages: Sequence[Message]) -> list[ContentCopy]:
    """Copy the contents of one push's messages.

    Messages that follow each other and share a content, or a record, share its copy.
    """
    contents: list[ContentCopy] = []
    for message in messages:
        before = contents[-1] if contents else None
        if before is None or before.original is not message.content:
            known = before.arrays if before is not None else {}
            arrays = {name: _share_copy(known.get(name), record) for name, record in message.content.array_records.items()}
            contents.append(ContentCopy(message.content, arrays))
        else:
            contents.append(before)
    _mark_shared(contents)
    return contents


def _share_copy(known: RecordCopy | None, record: ArrayRecord) -> RecordCopy:
    return known if known is not None and known.original is record else RecordCopy(record)


def _mark_shared(contents: Sequence[ContentCopy]) -> None:
    """Mark the records that go to several nodes: the same object, or the same arrays."""
    by_name: dict[str, list[RecordCopy]] = {}
    for content in contents:
        for name, record in content.arrays.items():
            by_name.setdefault(name, []).append(record)
    for found in by_name.values():
        if len(found) > 1 and (found[0] is found[1] or found[0].record == found[1].record):
            for record in found:
                record.shared = True
