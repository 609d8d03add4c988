"""The committee: frozen models and the target itself label the target's unlabelled samples."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from fedretina.checks import OWN
from fedretina.errors import BadArgument
from fedretina.reuse.checks import check_names
from fedretina.reuse.committee.clusters import add_new_classes
from fedretina.reuse.committee.held_out import HeldOutVotes, choose_held_out, trusted_share
from fedretina.reuse.committee.jaccard import jaccard_similarity
from fedretina.reuse.committee.options import CommitteeOptions
from fedretina.reuse.committee.propagation import Votes, constrain, propagate
from fedretina.reuse.committee.unit_vectors import (
    Floats,
    Ints,
    centre_groups,
    check_features,
    concatenate,
    reduce_dimensions,
)
from fedretina.reuse.committee.whitening import whiten

Features = NDArray[np.floating] | Tensor


@dataclass(frozen=True, eq=False)
class Labelling:
    """The labels that a committee gives.

    Parameters
    ----------
    labels : ndarray of int64, shape (N,)
        The class of each sample: as given, as voted, or a new class; -1 where it has none.
    confidence : ndarray of float32, shape (N,)
        Confidence of each vote: the score of the voted class minus the score of the next.
    known, new : int
        Number of given classes (0 to known - 1), and number of clusters that were added as classes.
    accuracy : float or None
        Fraction of the votes on held-out labelled samples that were right, among the most confident `share` of them. None if
        too few samples can be held out. Their labels are hidden from the votes only: after the target was trained on these
        labels, its own features make the accuracy too high.
    share : float
        Fraction of the unlabelled samples that got a label.
    """

    labels: Ints
    confidence: Floats
    known: int
    new: int
    accuracy: float | None
    share: float

    def indices(self) -> Ints:
        """List the samples that have a label, given or voted: indices, (n,), to train on."""
        return np.flatnonzero(self.labels >= 0)


class Committee:
    """Frozen models that label a target's unlabelled samples, together with the target's present state.

    How it labels:

    1. Each model's features become unit vectors, and the mean of their group is subtracted.
    2. The features of all models are concatenated, with weights alpha.
    3. They are whitened by the differences within an identity, which mutual neighbours across groups show.
    4. A graph connects samples whose k-reciprocal neighbourhoods overlap.
    5. Label propagation along this graph gives every sample a vote. The most confident votes become labels.

    Give features whose BatchNorm statistics were estimated on the target's samples, as `fedretina.features.embed` does.

    Parameters
    ----------
    sources : mapping of str to (N, d) array or CPU tensor
        Each source's features of all N samples, not normalised. It may be empty: then the target labels by its own
        features.
    labels : array of int, shape (N,)
        Classes from 0, -1 where unknown. If all are unknown, there are only clusters.
    groups : array of int, shape (N,), optional
        The origin of each sample, such as its camera.
    alpha : mapping of str to float, optional
        Weights of the sources, 0 or more and not all 0; they are scaled to sum 1. Default: equal. The target's own features
        have weight 1.
    options : CommitteeOptions, optional
        All other settings.

    Raises
    ------
    BadArgument
        Shapes do not fit, features are not finite, a label is below -1, or the weights are invalid.

    Examples
    --------
    Two peers see 8 identities by 3 cameras, each with its own noise. One image in three has a label:

    >>> draw = np.random.default_rng(0)
    >>> identity, camera = np.repeat(np.arange(8), 12), np.tile(np.arange(3), 32)
    >>> def seen(noise):
    ...     looks, lights = draw.normal(size=(8, 32)), draw.normal(size=(3, 32))
    ...     return looks[identity] + lights[camera] + noise * draw.normal(size=(96, 32))
    >>> labels = np.where(draw.random(96) < 0.33, identity, -1)
    >>> committee = Committee({"market1501": seen(0.8), "cuhk03": seen(1.2)}, labels, groups=camera)
    >>> labelling = committee.label()
    >>> chosen = labelling.indices()
    >>> bool((labelling.labels[chosen] == identity[chosen]).mean() > 0.9), labelling.share > 0.7
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
        column = None if groups is None else _column("groups", groups, len(self._labels))
        # A single group has no pairs across groups, from which a metric could be learned.
        self._groups = None if column is None or (column == column[:1]).all() else column
        if len(self._labels) < 2 or self._labels.min() < -1:
            raise BadArgument("labels must be for 2 samples or more, each a class from 0, or -1 where it is unknown")
        if OWN in sources:
            raise BadArgument(f"a source is named {OWN!r}, but that is the target itself: give it another name")
        self.alpha = _weights(sources, alpha)
        self._features = {name: self._prepared(name, sources[name]) for name in sorted(sources)}

    def label(self, own: Features | None = None) -> Labelling:
        """Label the samples by the sources and, if given, by the target's present features.

        Parameters
        ----------
        own : (N, d) array or CPU tensor, optional
            The target's features of the same samples. Required if there is no source.

        Returns
        -------
        Labelling
            The labels, and how reliable they are.

        Raises
        ------
        BadArgument
            There are neither sources nor own features, or `own` has another number of samples.
        """
        members = dict(self._features)
        if own is not None:
            members[OWN] = self._prepared(OWN, own)
        if not members:
            raise BadArgument("the committee is empty: give sources, or the target's own features")
        features = reduce_dimensions(concatenate(members, {**self.alpha, OWN: 1.0}), self.options.dimensions)
        held_out = self._held_out_votes(features)
        return self._labelling(*self._vote(features, self._labels), held_out)

    def _held_out_votes(self, features: Floats) -> HeldOutVotes | None:
        """Vote on held-out labelled samples. The metric does not use their labels either: the accuracy would be too high."""
        chosen = choose_held_out(self._labels, self.options.held_out, seed=self.options.seed)
        if not len(chosen):
            return None
        visible = self._labels.copy()
        visible[chosen] = -1
        votes, _ = self._vote(features, visible)
        # Each class keeps a visible label, so a vote for a new class is wrong.
        return HeldOutVotes(votes.confidence[chosen], votes.labels[chosen] == self._labels[chosen])

    def _prepared(self, name: str, features: Features) -> Floats:
        table = centre_groups(check_features(name, features, len(self._labels)), self._groups)
        return reduce_dimensions(table, self.options.dimensions)

    def _vote(self, features: Floats, labels: Ints) -> tuple[Votes, Ints]:
        """Connect samples by their neighbourhoods, in a metric that uses the labels, and propagate the labels.

        The second result is the seeds: the labelled samples and, if new classes are wanted, the members of new clusters.
        """
        o = self.options
        metric = whiten(features, labels, self._groups, rounds=o.whitening, shrink=o.shrink)
        graph = constrain(jaccard_similarity(metric, k1=o.k1, k2=o.k2), labels)
        seeds = (
            add_new_classes(graph, labels, min_similarity=1 - o.eps, min_samples=o.min_samples)
            if self._wants_new_classes()
            else labels
        )
        return propagate(graph, seeds, damping=o.damping), seeds

    def _wants_new_classes(self) -> bool:
        labelled = float((self._labels >= 0).mean())
        return labelled == 0 or labelled < self.options.new_classes_below or self.options.new_classes_below == 1

    def _labelling(self, votes: Votes, seeds: Ints, held_out: HeldOutVotes | None) -> Labelling:
        known = int(self._labels.max(initial=-1)) + 1
        wanted = self.options.share_new if self._wants_new_classes() else self.options.share
        share, accuracy = trusted_share(held_out, wanted, self.options.min_accuracy)
        unlabelled = np.flatnonzero((self._labels < 0) & (votes.confidence > 0))
        count = min(len(unlabelled), round(share * int((self._labels < 0).sum())))
        chosen = unlabelled[np.argsort(-votes.confidence[unlabelled], kind="stable")[:count]]
        labels = self._labels.copy()
        labels[chosen] = votes.labels[chosen]
        new = int(seeds.max(initial=-1)) + 1 - known
        return Labelling(labels, votes.confidence, known, new, accuracy, count / max(1, int((self._labels < 0).sum())))


def _column(what: str, values: ArrayLike, samples: int | None = None) -> Ints:
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
