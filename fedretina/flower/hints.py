"""Hints in the log that a `RecordRule` may be missing; each one is logged once."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

from fedretina.dom import Model
from fedretina.flower.similarity import is_small

_log = logging.getLogger("fedretina.flower")


@dataclass
class PrecisionHints:
    """Logs where the default precision of a record may be wrong.

    Examples
    --------
    >>> import numpy as np
    >>> hints = PrecisionHints()
    >>> hints.check_lossy("arrays", {"logits": np.ones((180, 10))})  # logs one line
    >>> hints.check_lossy("arrays", {"logits": np.ones((180, 10))})  # logs nothing
    """

    _logged: set[str] = field(default_factory=set)

    def check_lossy(self, record: str, model: Model) -> None:
        """Log a hint if a record that is quantised has only one tensor, as logits have: it may not be a model."""
        if len(model) == 1 and not is_small(model):
            self._log_once(
                f"record {record!r} is quantised like a model, but has only the tensor {next(iter(model))!r}; "
                f"if that is not weights, keep it exact: DomGrid(rules=[RecordRule(record={record!r}, lossy=False)])"
            )

    def check_exact(self, names: Iterable[str]) -> None:
        """Log a hint that records stay exact, because it is not clear which of them are models."""
        listed = ", ".join(map(repr, sorted(names)))
        if listed:
            self._log_once(
                f"records {listed} stay exact, since it is not clear which of them are models; "
                "to quantise one, name it: DomGrid(rules=[RecordRule(record=..., lossy=True)])"
            )

    def _log_once(self, text: str) -> None:
        if text not in self._logged:
            self._logged.add(text)
            _log.warning(text)
