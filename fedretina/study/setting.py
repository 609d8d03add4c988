"""The setting of a cell: everything that its result depends on."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields

import fedretina
from fedretina.checks import check_domains
from fedretina.train import OWN_LIMIT, RISK_LIMIT, Training

VERSION = 4
"""Increase it when a setting gives another result within a release, or when a default changes. Stored results are then
measured again. Keys contain only the fields that differ from their defaults."""
_CO_TRAINING = {"body_rounds", "average_every", "share_target", "alone_last", "risk_limit", "own_limit"}
_OF_TARGET = {"method", "target", "sources", "labelled", "gamma", "epochs"} | _CO_TRAINING


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One training on one target, and its test. Equal settings give equal results.

    Parameters
    ----------
    method : str
        A name of `fedretina.study.METHODS`.
    target : str
        The target domain, which has few labels.
    sources : tuple of str
        The domains whose models are available.
    data : str, default "embedded"
        The data: "embedded", or a folder.
    labelled : float, default 0.3
        Fraction of the target's samples that have a label.
    loss, head : str, default "softmax", "global"
        The supervised loss and the head of the network, by the task's names.
    model, weights : str, default "small", ""
        The network, and a file of initial weights.
    height, width : int, default 64, 32
        Size of the network's input in pixels.
    gamma : float, default 0.3
        Weight of Eq. 1; other methods ignore it.
    epochs, home_epochs : int, default 30
        Epochs of the target, and of each source before.
    epoch_samples : int, default 4000
        Samples per epoch of a larger domain; 0 takes all.
    lr : float, default 0.002
        Peak learning rate of Adam.
    body_rounds : int, default 5
        Rounds in which the sources average their bodies, for the methods that do so.
    average_every : int, default 5
        Epochs between two averages of the target's and a source's bodies in co-training.
    share_target : float, default 0.6
        The target's weight in these averages.
    alone_last : int, default 6
        The last epochs, in which the target trains alone.
    risk_limit, own_limit : float, default 2.0, 1.0
        Which sources take part in co-training, see `fedretina.train.TurnRules`.
    seed : int, default 0
        Seed of all random choices, also of which samples are labelled.

    Examples
    --------
    >>> setting = Setting(method="alone", target="duke", sources=("cuhk03",))
    >>> setting.key == Setting(method="alone", target="duke", sources=("cuhk03",), seed=1).key
    False
    """

    method: str
    target: str
    sources: tuple[str, ...]
    data: str = "embedded"
    labelled: float = 0.3
    loss: str = "softmax"
    head: str = "global"
    model: str = "small"
    weights: str = ""
    height: int = 64
    width: int = 32
    gamma: float = 0.3
    epochs: int = 30
    home_epochs: int = 30
    epoch_samples: int = 4000
    lr: float = 0.002
    body_rounds: int = 5
    average_every: int = 5
    share_target: float = 0.6
    alone_last: int = 6
    risk_limit: float = RISK_LIMIT
    own_limit: float = OWN_LIMIT
    seed: int = 0

    @property
    def key(self) -> str:
        """Identifies the result: 16 hexadecimal digits, the same in every process.

        Only fields that differ from their defaults are hashed. So a new field changes no key, and stored results stay valid.
        """
        return _hash(self._non_default)

    def source_key(self, source: str) -> str:
        """Identify a source's own training, which does not depend on the target."""
        return _hash(
            {name: value for name, value in self._non_default.items() if name not in _OF_TARGET} | {"source": source}
        )

    @property
    def body_key(self) -> str:
        """Identifies the joint training of the sources, which does not depend on the target's labels."""
        return _hash(self._of_sources | {"joint": sorted(self.sources), "rounds": self.body_rounds})

    @property
    def _of_sources(self) -> dict[str, object]:
        return {name: value for name, value in self._non_default.items() if name not in _OF_TARGET}

    @property
    def _non_default(self) -> dict[str, object]:
        """The fields that have no default, or differ from it."""
        return {field.name: value for field in fields(self) if (value := getattr(self, field.name)) != field.default}

    def training(self, device: str = "auto") -> Training:
        """Give the settings of a `Learner`, with all epochs in one round; `BadArgument` for wrong values or domains."""
        check_domains(self.target, self.sources)
        return Training(
            rounds=1,
            local_epochs=self.epochs,
            home_epochs=self.home_epochs,
            epoch_samples=self.epoch_samples,
            lr=self.lr,
            device=device,  # type: ignore[arg-type]  # Training checks it
            seed=self.seed,
        )


def subsets(names: Sequence[str]) -> list[tuple[str, ...]]:
    """List the non-empty subsets of some names, small ones first.

    Examples
    --------
    >>> subsets(["a", "b"])
    [('a',), ('b',), ('a', 'b')]
    """
    found: list[tuple[str, ...]] = [()]
    for name in names:
        found += [(*subset, name) for subset in found]
    return sorted(filter(None, found), key=lambda subset: (len(subset), [list(names).index(name) for name in subset]))


def _hash(values: dict[str, object]) -> str:
    text = json.dumps({**values, "version": VERSION, "fedretina": fedretina.__version__}, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
