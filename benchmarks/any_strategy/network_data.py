"""The data sets on which networks are compared: those of scikit-learn, and two that are drawn with a fixed seed."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer, load_digits, load_wine, make_classification
from torch import Tensor

WORDS, TOPICS, LENGTH = 2000, 8, 20
_COMMON = 100  # the most frequent words do not depend on the topic


@dataclass(frozen=True)
class Data:
    """Training and test examples, and the number of classes."""

    x: Tensor
    y: Tensor
    test_x: Tensor
    test_y: Tensor
    classes: int


Loader = Callable[[], Data]


def split(x: np.ndarray, y: np.ndarray, *, dtype: torch.dtype = torch.float32) -> Data:
    """Shuffle the rows with a fixed seed, and keep a quarter of them for the test."""
    order = np.random.default_rng(0).permutation(len(y))
    features, labels = torch.tensor(x[order], dtype=dtype), torch.tensor(y[order], dtype=torch.int64)
    tested = len(y) // 4
    return Data(features[tested:], labels[tested:], features[:tested], labels[:tested], int(labels.max()) + 1)


@cache
def digits() -> Data:
    """Give scikit-learn's digits as images (n, 1, 8, 8) in [0, 1]."""
    x, y = load_digits(return_X_y=True)
    return split(x.reshape(-1, 1, 8, 8) / 16, y)


def _some_digits(first: int, last: int) -> Data:
    x, y = load_digits(return_X_y=True)
    chosen = (y >= first) & (y <= last)
    return split(x[chosen].reshape(-1, 1, 8, 8) / 16, y[chosen] - first)


@cache
def low_digits() -> Data:
    """Give the digits 0 to 4: a body is pretrained on them."""
    return _some_digits(0, 4)


@cache
def high_digits() -> Data:
    """Give the digits 5 to 9, with the labels 0 to 4."""
    return _some_digits(5, 9)


@cache
def cancer() -> Data:
    """Give the breast cancer data unscaled: 30 features, from thousandths to thousands."""
    return split(*load_breast_cancer(return_X_y=True))


@cache
def wine() -> Data:
    """Give the wine data unscaled: 13 features, from tenths to more than a thousand."""
    return split(*load_wine(return_X_y=True))


@cache
def measurements() -> Data:
    """Draw a table of 3,000 rows and 40 features in units of their own: scales from 0.001 to 1,000, and offsets."""
    x, y = make_classification(3000, 40, n_informative=20, n_redundant=10, n_classes=6, class_sep=1.5, random_state=0)
    rng = np.random.default_rng(0)
    scales = 10 ** rng.uniform(-3, 3, 40)
    return split((x + rng.normal(0, 2, 40)) * scales, y)


def _documents(count: int, seed: int) -> Data:
    """Draw documents whose words follow Zipf's law; each rare word is ten times as frequent in one topic."""
    frequencies = 1 / np.arange(1, WORDS + 1)
    topic_of = np.random.default_rng(0).integers(0, TOPICS, WORDS)
    rng = np.random.default_rng(seed)
    y = rng.integers(0, TOPICS, count)
    x = np.empty((count, LENGTH), np.int64)
    for topic in range(TOPICS):
        boost = np.where((topic_of == topic) & (np.arange(WORDS) >= _COMMON), 10.0, 1.0)
        rows = np.flatnonzero(y == topic)
        x[rows] = rng.choice(WORDS, (len(rows), LENGTH), p=frequencies * boost / (frequencies * boost).sum())
    return split(x, y, dtype=torch.int64)


@cache
def documents() -> Data:
    """Draw 3,200 documents of 20 words, 2,000 words, 8 topics: only rare words tell the topic."""
    return _documents(3200, 1)


@cache
def more_documents() -> Data:
    """Draw other documents of the same topics: an embedding is pretrained on them."""
    return _documents(3200, 2)


def split_by_dirichlet(labels: Tensor, nodes: int, *, skew: float, seed: int) -> list[Tensor]:
    """Distribute rows to nodes, label by label, in shares from a Dirichlet distribution; return each node's row numbers."""
    rng = np.random.default_rng(seed)
    rows: list[list[int]] = [[] for _ in range(nodes)]
    for label in np.unique(labels.numpy()):
        of_label = rng.permutation(np.flatnonzero(labels.numpy() == label))
        ends = (np.cumsum(rng.dirichlet([skew] * nodes))[:-1] * len(of_label)).round().astype(int)
        for own, part in zip(rows, np.split(of_label, ends), strict=True):
            own.extend(part.tolist())
    return [torch.tensor(own) for own in rows]
