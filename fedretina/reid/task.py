"""Person re-identification as a `Task`: data sets in folders, embeddings, mAP."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypedDict

import numpy as np
import torch
from torch import Tensor, nn

from fedretina.errors import BadArgument
from fedretina.features import layer_features
from fedretina.reid.augmentation import augment, to_float
from fedretina.reid.dataset import read_dataset
from fedretina.reid.folder import Domain, Photo, require_matches
from fedretina.reid.heads import HEADS, PartsOutput
from fedretina.reid.images import load_images
from fedretina.reid.metrics import Scores, evaluate, evaluate_features, top
from fedretina.reid.models import MODELS, build
from fedretina.reid.networks import Output
from fedretina.reid.published import published_counts
from fedretina.reid.reranking import rerank
from fedretina.reid.sampler import PKSampler
from fedretina.reid.supervised import LOSSES
from fedretina.task import Split, Splits, Task

BLOCK = 256
IMAGES_PER_IDENTITY = 4
SHOWN_QUERIES, SHOWN_GALLERY = 5, 10


def _mirrored(images: Tensor) -> Tensor:
    return images.flip(3)


@dataclass(frozen=True, kw_only=True)
class ReIdTask(Task):
    """Re-identification over the domains of a folder.

    Parameters
    ----------
    root : Path
        The data root: one folder per domain, in any layout of `read_dataset`.
    targets : tuple of str
        The domains of which only a part of the samples is labelled.
    labelled : float, default 0.3
        Fraction of the target's samples that are labelled, above 0, at most 1.
    models : mapping of str to str
        A network by domain, see `build`; the entry "" is for all other domains.
    height, width : int, default 64, 32
        Size of the model's input in pixels.
    loss_name : {"softmax", "softmax+triplet", "triplet", "batch-hard", "aligned"}, default "softmax"
        "softmax": identity loss with label smoothing. "softmax+triplet": also the batch-hard triplet loss. "triplet" and
        "batch-hard": only triplets, all or batch-hard. "aligned": AlignedReID, with triplets of aligned parts. All except
        "softmax" draw batches of P identities x K photos.
    head_name : {"global", "plain", "parts"}, default "global"
        One embedding with a BatchNorm neck, one without it, or one per horizontal part (PCB); each with a classifier.
    last_stride : {1, 2}, default 1
        Stride of the ResNets' last stage.
    weights : mapping of str to str, optional
        A file of initial weights by domain; the entry "" is for all other domains. None is downloaded.
    decoded : Path, optional
        Folder in which decoded photos are stored.
    embedded : bool, default False
        Whether the data were rendered: then their counts are not compared with published ones.
    seed : int, default 0
        Seed of the choice of labelled samples.
    reranked : bool, default False
        Whether the test uses re-ranking (`rerank`), which is another protocol.

    Raises
    ------
    BadArgument
        A value is out of range.
    """

    root: Path
    targets: tuple[str, ...]
    labelled: float = 0.3
    models: Mapping[str, str]
    height: int = 64
    width: int = 32
    loss_name: str = "softmax"
    weights: Mapping[str, str] = field(default_factory=dict)
    decoded: Path | None = None
    embedded: bool = False
    seed: int = 0
    reranked: bool = False
    head_name: str = "global"
    last_stride: Literal[1, 2] = 1

    metric = "mAP"
    layers: Sequence[str] = ("embedding",)
    head = "head"
    kind = "retrieval"
    embedding = "embedding"
    views = (_mirrored,)

    def __post_init__(self) -> None:
        if not 0 < self.labelled <= 1:
            raise BadArgument(f"labelled = {self.labelled}: a number above 0, at most 1, is allowed")
        for key, pixels in (("image-height", self.height), ("image-width", self.width)):
            if pixels < 16:
                raise BadArgument(f"{key} = {pixels}: an integer of 16 or more is allowed")
        for key, value, allowed in (("loss", self.loss_name, LOSSES), ("head", self.head_name, HEADS)):
            if value not in allowed:
                raise BadArgument(f"{key} = {value!r}: allowed are {', '.join(allowed)}")
        if self.last_stride not in (1, 2):
            raise BadArgument(f"last-stride = {self.last_stride}: 1 or 2 is allowed")
        needed = LOSSES[self.loss_name].head
        if needed and self.head_name != needed:
            raise BadArgument(f"loss = {self.loss_name!r} aligns {needed}: it needs head = {needed!r}")
        for domain, name in self.models.items():
            if name not in MODELS:
                where = f" of domain {domain!r}" if domain else ""
                raise BadArgument(f"model = {name!r}{where}: allowed are {', '.join(MODELS)}")

    def splits(self, domain: str) -> Splits:
        """Read the training photos. Of a target only a part is labelled, and its test photos are opened too."""
        photos = self._domain(domain).train
        images = self._images(photos)
        identities = np.array([photo.identity for photo in photos])
        cameras = torch.tensor([photo.camera for photo in photos])
        if domain not in self.targets:
            labels = _numbered(identities, identities)
            self._require_pairs(domain, labels)
            return Splits(images, labels, groups=cameras)
        require_matches(domain, *(photos for _, photos in self._test(domain)))
        chosen = self._chosen(len(photos))
        rest = np.setdiff1d(np.arange(len(photos)), chosen)
        order = np.concatenate([identities[chosen], identities[rest]])
        numbers = _numbered(order, identities[chosen])
        labels, hidden = numbers[: len(chosen)], numbers[len(chosen) :]
        self._require_pairs(domain, labels)
        return Splits(images[chosen], labels, images[rest], hidden, cameras[np.concatenate([chosen, rest])])

    def model(self, domain: str, classes: int) -> nn.Module:
        """Build the domain's network."""
        name = self.models.get(domain, self.models.get("", MODELS[0]))
        return build(
            name,
            classes,
            height=self.height,
            width=self.width,
            weights=self.weights.get(domain, self.weights.get("", "")),
            head=self.head_name,
            last_stride=self.last_stride,
        )

    def loss(self, output: Output | PartsOutput, labels: Tensor) -> Tensor:
        """Compute the loss that `loss_name` names; an identity without a logit has no identity loss."""
        return LOSSES[self.loss_name].compute(output, labels)

    def batches(self, labels: Tensor, size: int, generator: torch.Generator) -> Iterable[Tensor]:
        """Draw batches without end: P identities x K photos for triplet losses, else every photo once per pass."""
        if not LOSSES[self.loss_name].by_identity:
            yield from super().batches(labels, size, generator)
        k = min(IMAGES_PER_IDENTITY, size)
        sampler = PKSampler(labels, p=max(1, size // k), k=k, generator=generator)
        while True:
            yield from sampler

    def prepare(self, inputs: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Normalise photos; with a generator, also flip, crop and erase them at random."""
        return to_float(inputs) if generator is None else augment(inputs, generator=generator)

    def evaluate(self, model: nn.Module, domain: str, *, split: Split = "test") -> dict[str, float]:
        """Compute mAP and Rank-1 in percent, of the queries in the gallery, or of the labelled photos among themselves."""
        if split == "labelled":
            images, photos = self._labelled(domain)
            features, who = self._embed(model, images), _among(photos)
            return _percent(evaluate_features(features, features, **who)) if who else {"mAP": 0.0, "rank1": 0.0}
        query, gallery = self._test(domain)
        both, who = (self._embed(model, query[0]), self._embed(model, gallery[0])), _who(query[1], gallery[1])
        return _percent(evaluate(rerank(*both), **who) if self.reranked else evaluate_features(*both, **who))

    def showcase(self, model: nn.Module, domain: str) -> list[dict[str, Any]]:
        """Rank the gallery for some evenly spaced queries: paths, identities, cameras, right or wrong."""
        query, gallery = self._test(domain)
        features = self._embed(model, query[0]), self._embed(model, gallery[0])
        wanted = np.linspace(0, len(query[1]) - 1, min(SHOWN_QUERIES, len(query[1]))).astype(int).tolist()
        ranked = top(*features, **_who(query[1], gallery[1]), k=SHOWN_GALLERY, queries=wanted)
        return [
            {
                "query": _shown(query[1][row.query]),
                "gallery": [
                    {**_shown(gallery[1][i]), "right": right} for i, right in zip(row.gallery, row.right, strict=True)
                ],
            }
            for row in ranked
        ]

    def _domain(self, domain: str) -> Domain:
        return _read(self.root / domain, domain, self.embedded)

    def _require_pairs(self, domain: str, labels: Tensor) -> None:
        """Refuse labels without one triplet, where the loss is of triplets alone."""
        if LOSSES[self.loss_name].only_triplets and int(labels.bincount().max()) < 2:
            raise BadArgument(
                f"loss = {self.loss_name!r}: no identity of {domain!r} has 2 labelled photos, so there is no triplet; "
                f"give a larger `labelled`, or another loss"
            )

    def _images(self, photos: Sequence[Photo]) -> Tensor:
        images = load_images(photos, height=self.height, width=self.width, cache=self.decoded)
        return torch.from_numpy(np.array(images))

    def _chosen(self, count: int) -> np.ndarray:
        """Choose the labelled samples, equally in every process."""
        number = max(2, round(self.labelled * count))
        return np.sort(np.random.default_rng((self.seed, count)).permutation(count)[:number])

    def _test(self, domain: str) -> "tuple[_Set, _Set]":
        found = self._domain(domain)
        return (self._images(found.query), found.query), (self._images(found.gallery), found.gallery)

    def _labelled(self, domain: str) -> "_Set":
        photos = self._domain(domain).train
        chosen = self._chosen(len(photos)) if domain in self.targets else np.arange(len(photos))
        return self._images(photos)[chosen], tuple(photos[i] for i in chosen)

    def _embed(self, model: nn.Module, images: Tensor) -> Tensor:
        """Embed photos as unit vectors, (N, D), each averaged with its mirror image."""
        device = next(model.parameters()).device
        batches = (to_float(part).to(device) for part in torch.split(images, BLOCK))
        features = layer_features(model, self.embedding, batches, views=self.views)
        return nn.functional.normalize(torch.from_numpy(features), dim=1)


_Set = tuple[Tensor, Sequence[Photo]]


@cache
def _read(folder: Path, name: str, embedded: bool) -> Domain:
    return read_dataset(folder, name=name, expected=None if embedded else published_counts(name))


def _numbered(identities: np.ndarray, first: np.ndarray) -> Tensor:
    """Number identities from 0 without gaps, those of `first` before all others."""
    known = np.unique(first)
    order = np.concatenate([known, np.setdiff1d(identities, known)])
    place = {int(identity): i for i, identity in enumerate(order)}
    return torch.tensor([place[int(identity)] for identity in identities], dtype=torch.int64)


class _Who(TypedDict):
    query_ids: list[int]
    query_cameras: list[int]
    gallery_ids: list[int]
    gallery_cameras: list[int]


def _who(query: Sequence[Photo], gallery: Sequence[Photo]) -> _Who:
    return {
        "query_ids": [photo.identity for photo in query],
        "query_cameras": [photo.camera for photo in query],
        "gallery_ids": [photo.identity for photo in gallery],
        "gallery_cameras": [photo.camera for photo in gallery],
    }


def _among(photos: Sequence[Photo]) -> _Who | None:
    """Make every photo a query among the others: by other cameras if an identity has two cameras, else among all photos.

    None if no identity has a second photo: then nothing can be found.
    """
    who = _who(photos, photos)
    pairs = Counter(set(zip(who["query_ids"], who["query_cameras"], strict=True)))
    if max(Counter(identity for identity, _ in pairs).values()) > 1:
        return who
    if max(Counter(who["query_ids"]).values()) == 1:
        return None
    each = list(range(len(photos)))
    return {**who, "query_cameras": each, "gallery_cameras": each}


def _percent(scores: Scores) -> dict[str, float]:
    return {"mAP": scores.mAP, "rank1": scores.rank1}


def _shown(photo: Photo) -> dict[str, Any]:
    return {"picture": str(photo.path), "identity": photo.identity, "camera": photo.camera}
