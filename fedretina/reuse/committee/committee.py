"""The committee: frozen models, and the target's own state, label the target's unlabelled samples together."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from fedretina.errors import BadArgument
from fedretina.reuse.checks import check_names
from fedretina.reuse.committee.clusters import new_classes
from fedretina.reuse.committee.jaccard import overlap
from fedretina.reuse.committee.options import CommitteeOptions
from fedretina.reuse.committee.propagation import Votes, constrained, propagate
from fedretina.reuse.committee.trust import Check, hidden, trusted_share
from fedretina.reuse.committee.unit_vectors import Floats, Whole, centred, checked, joined, reduced
from fedretina.reuse.committee.whitening import whitened

OWN = "own"
Features = NDArray[np.floating] | Tensor


@dataclass(frozen=True, eq=False)
class Labelling:
    """What a committee says of the samples.

    Parameters
    ----------
    labels : ndarray of int64, shape (N,)
        Known classes as given, those of trusted votes beside them, new classes above them; -1: no label.
    confidence : ndarray of float32, shape (N,)
        Of each vote: how much more its class reached the sample than the next one did.
    known, new : int
        How many classes were given (they are 0 to known - 1), and how many clusters were added as classes.
    accuracy : float or None
        Part of the labelled samples held out that got the right class, among the trusted share of them; None
        where too few can be held out. They are hidden from the votes, not from the target: once it was trained on
        these labels, its own features make the accuracy flatter.
    share : float
        Part of the unlabelled samples that has got a label.
    """

    labels: Whole
    confidence: Floats
    known: int
    new: int
    accuracy: float | None
    share: float

    def indices(self) -> Whole:
        """List the samples that have a label, given or voted, (n,), to train on."""
        return np.flatnonzero(self.labels >= 0)


class Committee:
    """Frozen models that label a target's unlabelled samples, together with the target's own state.

    Each model's features become unit vectors without their group's mean; side by side, weighted by alpha, they are
    whitened by what mutual neighbours across groups differ in; classes walk from the labelled samples along the graph
    of overlapping neighbourhoods. Give features of statistics re-estimated on the target's samples: `embed` does that.

    Parameters
    ----------
    sources : mapping of str to (N, d) array or CPU tensor
        Per source its features of all N samples, as they come from the model; no mapping of names at all is fine:
        then the target labels by its own state.
    labels : array of int, shape (N,)
        Classes from 0, -1 where unknown; all may be unknown: then there are clusters only.
    groups : array of int, shape (N,), optional
        Where a sample comes from, such as its camera.
    alpha : mapping of str to float, optional
        Weights of the sources, 0 or more, not all 0; default: equal. They are scaled to sum 1; the target's own
        features weigh 1.
    options : CommitteeOptions, optional
        Everything else.

    Raises
    ------
    BadArgument
        Shapes that don't fit, features that are not finite, labels below -1, weights that are none.

    Examples
    --------
    Two peers see 8 identities by 3 cameras, each with noise of its own; one image in three has a label:

    >>> draw = np.random.default_rng(0)
    >>> identity, camera = np.repeat(np.arange(8), 12), np.tile(np.arange(3), 32)
    >>> def seen(noise):
    ...     looks, lights = draw.normal(size=(8, 32)), draw.normal(size=(3, 32))
    ...     return looks[identity] + lights[camera] + noise * draw.normal(size=(96, 32))
    >>> labels = np.where(draw.random(96) < 0.33, identity, -1)
    >>> committee = Committee({"market1501": seen(0.8), "cuhk03": seen(1.2)}, labels, groups=camera)
    >>> labelling = committee.label()
    >>> told = labelling.indices()
    >>> bool((labelling.labels[told] == identity[told]).mean() > 0.9), labelling.share > 0.7
    (True, True)
    """

    def __init__(
        self,
        sources: Mapping[str, Features],
        labels: ArrayLike,
        *,
        groups: ArrayLike | None = None,
        alpha: Mapping[str, float] | None = None,
        options: CommitteeOptions | None = None,
    ) -> None:
        self.options = options or CommitteeOptions()
        self._labels = _column("labels", labels)
        places = None if groups is None else _column("groups", groups, len(self._labels))
        # Where all samples are of one group there are no pairs across groups to learn a metric from.
        self._groups = None if places is None or (places == places[:1]).all() else places
        if len(self._labels) < 2 or self._labels.min() < -1:
            raise BadArgument("labels must be for 2 samples or more, each a class from 0, or -1 where it is unknown")
        if OWN in sources:
            raise BadArgument(f"no source may be named {OWN!r}: that is the target itself")
        self.alpha = _weights(sources, alpha)
        self._parts = {name: self._part(name, sources[name]) for name in sorted(sources)}

    def label(self, own: Features | None = None) -> Labelling:
        """Label the samples by the sources, and by the target's present features if they are given.

        Parameters
        ----------
        own : (N, d) array or CPU tensor, optional
            The target's features of the same samples. Needed where there is no source.
        """
        parts = dict(self._parts)
        if own is not None:
            parts[OWN] = self._part(OWN, own)
        if not parts:
            raise BadArgument("the committee is empty: give sources, or the target's own features")
        features = reduced(joined(parts, {**self.alpha, OWN: 1.0}), self.options.dimensions)
        check = self._check(features)
        return self._labelling(*self._vote(features, self._labels), check)

    def _check(self, features: Floats) -> Check | None:
        """Vote on labelled samples from the others, in a metric of the others: one that saw their labels would flatter."""
        chosen = hidden(self._labels, self.options.held_out, seed=self.options.seed)
        if not len(chosen):
            return None
        visible = self._labels.copy()
        visible[chosen] = -1
        votes, _ = self._vote(features, visible)
        # Each class keeps a label that is seen: a vote for a new class is wrong.
        return Check(votes.confidence[chosen], votes.labels[chosen] == self._labels[chosen])

    def _part(self, name: str, features: Features) -> Floats:
        table = centred(checked(name, features, len(self._labels)), self._groups)
        return reduced(table, self.options.dimensions)

    def _vote(self, features: Floats, labels: Whole) -> tuple[Votes, Whole]:
        """Tie the samples by their neighbourhoods, in a metric that knows the labels, and let the labels walk.

        The second result are the seeds: the labelled samples, and the members of new clusters where these are wanted.
        """
        o = self.options
        metric = whitened(features, labels, self._groups, rounds=o.whitening, shrink=o.shrink)
        tied = constrained(overlap(metric, k1=o.k1, k2=o.k2), labels)
        seeds = new_classes(tied, labels, nearness=1 - o.eps, least=o.least) if self._wants_new() else labels
        return propagate(tied, seeds, walk=o.walk), seeds

    def _wants_new(self) -> bool:
        labelled = float((self._labels >= 0).mean())
        return labelled == 0 or labelled < self.options.new_below or self.options.new_below == 1

    def _labelling(self, votes: Votes, seeds: Whole, check: Check | None) -> Labelling:
        known = int(self._labels.max(initial=-1)) + 1
        wanted = self.options.share_new if self._wants_new() else self.options.share
        share, accuracy = trusted_share(check, wanted, self.options.trust)
        unlabelled = np.flatnonzero((self._labels < 0) & (votes.confidence > 0))
        count = min(len(unlabelled), round(share * int((self._labels < 0).sum())))
        chosen = unlabelled[np.argsort(-votes.confidence[unlabelled], kind="stable")[:count]]
        labels = self._labels.copy()
        labels[chosen] = votes.labels[chosen]
        new = int(seeds.max(initial=-1)) + 1 - known
        return Labelling(labels, votes.confidence, known, new, accuracy, count / max(1, int((self._labels < 0).sum())))


def _column(what: str, values: ArrayLike, samples: int | None = None) -> Whole:
    column = np.asarray(values)
    if column.ndim != 1 or not np.issubdtype(column.dtype, np.integer) or (samples is not None and len(column) != samples):
        expected = "N" if samples is None else samples
        raise BadArgument(f"{what} are {column.dtype} of shape {column.shape}: give integers of shape ({expected},)")
    return column.astype(np.int64)


def _weights(sources: Mapping[str, Features], alpha: Mapping[str, float] | None) -> dict[str, float]:
    if alpha is None:
        return dict.fromkeys(sources, 1 / max(1, len(sources)))
    check_names("alpha", alpha, list(sources))
    total = sum(alpha.values())
    if sources and not (np.isfinite(total) and total > 0 and min(alpha.values()) >= 0):
        raise BadArgument(f"alpha is {dict(alpha)}: give weights of 0 or more, not all of them 0")
    return {name: weight / total for name, weight in alpha.items()}
