"""What a cell of a study's table is measured with: everything that its result follows from."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields

import fedretina
from fedretina.train import Training, check_domains

VERSION = 3
"""Counts up whenever the same setting gives another result within a release: what was stored is then measured again.

That is so too when a default changes: keys hold only what differs from the defaults."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One training on one target, and its test. Equal settings give equal results.

    Parameters
    ----------
    method : str
        A name of `fedretina.study.METHODS`.
    target : str
        The domain with few labels.
    sources : tuple of str
        The domains whose models are at hand.
    data : str, default "embedded"
        Where the data come from.
    labelled : float, default 0.3
        Part of the target's samples that keep their label.
    loss, head : str, default "softmax", "global"
        The supervised loss and what stands on the network, as the task names them.
    model, weights : str, default "small", ""
        The network, and a file that it starts from.
    height, width : int, default 64, 32
        Pixels of its input.
    gamma : float, default 0.3
        Weight of the term that the method adds to the loss; unused by methods without one.
    epochs, home_epochs : int, default 30
        Epochs of the target, and of each source at home before.
    epoch_samples : int, default 4000
        An epoch of a larger domain takes this many of its samples; 0 takes all.
    lr : float, default 0.002
        Peak learning rate of Adam.
    seed : int, default 0
        Everything random follows from it, which samples are labelled too.

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
    seed: int = 0

    @property
    def key(self) -> str:
        """A name for the result: 16 hexadecimal digits, the same in every process.

        Only what differs from the defaults is hashed: a new field changes no key, and what was measured before stays.
        """
        return _hashed(self._differing)

    def source_key(self, source: str) -> str:
        """Name what a source's own training follows from: nothing of the target."""
        unused = {"method", "target", "sources", "labelled", "gamma", "epochs"}
        return _hashed({name: value for name, value in self._differing.items() if name not in unused} | {"source": source})

    @property
    def _differing(self) -> dict[str, object]:
        """The fields without a default, and those that are not at theirs."""
        return {field.name: value for field in fields(self) if (value := getattr(self, field.name)) != field.default}

    def training(self, device: str = "auto") -> Training:
        """Give the settings of a `Learner`: one round, all epochs; `BadArgument` for wrong values or domains."""
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
    """List the subsets of some names that are not empty, small ones first.

    Examples
    --------
    >>> subsets(["a", "b"])
    [('a',), ('b',), ('a', 'b')]
    """
    found: list[tuple[str, ...]] = [()]
    for name in names:
        found += [(*subset, name) for subset in found]
    return sorted(filter(None, found), key=lambda subset: (len(subset), [list(names).index(name) for name in subset]))


def _hashed(values: dict[str, object]) -> str:
    text = json.dumps({**values, "version": VERSION, "fedretina": fedretina.__version__}, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
