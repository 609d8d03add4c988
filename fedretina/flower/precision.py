"""Which records may lose precision: by default only versions of a model that the other side holds.

A message may carry anything in its ArrayRecords: gradients, activations, histograms, an optimiser's state. DoM decides by
the record's name, the message's type and the values. An app that knows more says so with a `RecordRule`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Literal

from flwr.app import RecordDict

from fedretina.dom import DomConfig
from fedretina.errors import BadArgument

# The record names under which Flower's strategies and its legacy loop send the model. If a message has several ArrayRecords,
# only the record of such a name counts as the model.
MODEL_NAMES = ("arrays", "parameters", "fitins.parameters", "fitres.parameters", "evaluateins.parameters")
MODEL_TYPES = ("train", "evaluate")

RecordKind = Literal["model", "lossy", "data"]
"""Kinds of records: a version of a model, a record that a rule makes lossy, and any other data, which stay exact."""


@dataclass(frozen=True, kw_only=True)
class RecordRule:
    """Says whether records of some name and message type may lose precision. The first rule that matches decides.

    Parameters
    ----------
    lossy : bool
        True: the records are quantised, also if nothing shows that they are versions of a model. False: they stay exact.
    record : str, default "*"
        Pattern (`fnmatch`) of the ArrayRecord's name.
    message_type : str, default "*"
        Pattern of the message's type: "train", "query", "train.step".
    tensors : tuple of str, default ("*",)
        With ``lossy=True``: which tensors may lose precision, as in `DomConfig.lossy_tensors`.

    Raises
    ------
    BadArgument
        If `lossy` is not a bool, or a pattern is not text.

    Examples
    --------
    A message has two models; in the second one, the tensor "counts" stays exact:

    >>> rules = [
    ...     RecordRule(record="generator", lossy=True),
    ...     RecordRule(record="critic", lossy=True, tensors=("*", "!counts")),
    ... ]
    >>> find_rule(rules, "critic", "train").tensors
    ('*', '!counts')
    """

    lossy: bool
    record: str = "*"
    message_type: str = "*"
    tensors: tuple[str, ...] = ("*",)

    def __post_init__(self) -> None:
        if not all(isinstance(value, str) for value in (self.record, self.message_type)) or not isinstance(self.lossy, bool):
            raise BadArgument(f"{self!r}: give patterns as text for record and message_type, and True or False for lossy")
        DomConfig(lossy_tensors=self.tensors)


def find_rule(rules: Sequence[RecordRule], record: str, message_type: str) -> RecordRule | None:
    """Return the first rule that matches a record of a message, or None."""
    matching = (r for r in rules if fnmatchcase(record, r.record) and fnmatchcase(message_type, r.message_type))
    return next(matching, None)


def find_model_name(content: RecordDict) -> str | None:
    """Return the name of the record that holds the model, or None if that is not clear.

    Examples
    --------
    >>> from flwr.app import ArrayRecord
    >>> find_model_name(RecordDict({"weights": ArrayRecord()}))
    'weights'
    >>> find_model_name(RecordDict({"arrays": ArrayRecord(), "control": ArrayRecord()}))
    'arrays'
    >>> find_model_name(RecordDict({"generator": ArrayRecord(), "critic": ArrayRecord()})) is None
    True
    """
    names = list(content.array_records)
    if len(names) == 1:
        return names[0]
    usual = [name for name in names if name in MODEL_NAMES]
    return usual[0] if len(usual) == 1 else None


def classify(rule: RecordRule | None, message_type: str, *, is_main: bool) -> RecordKind:
    """Return the kind of a record in a message to a node.

    Examples
    --------
    >>> classify(None, "train", is_main=True), classify(None, "query", is_main=True)
    ('model', 'data')
    >>> classify(RecordRule(lossy=True), "query", is_main=True)
    'lossy'
    """
    if rule is not None:
        return "lossy" if rule.lossy else "data"
    return "model" if is_main and message_type in MODEL_TYPES else "data"


def rule_config(config: DomConfig, rule: RecordRule) -> DomConfig:
    """Return the configuration for a record that a rule names."""
    if not rule.lossy:
        return config.exact
    return config if config.lossless or rule.tensors == ("*",) else replace(config, lossy_tensors=rule.tensors)
