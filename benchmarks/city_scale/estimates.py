"""How well each estimate ranks a target's candidates: Kendall's tau with the true gain, over the models from home."""

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import kendalltau, weightedtau

from city_scale.cells import TRAINING, Cell, run, task_of
from city_scale.gains import Gains, true_gains
from fedretina.dom import ReferenceStore
from fedretina.features import layer_features
from fedretina.strategies.selection import h_score, log_evidence, sketch_distance
from fedretina.train import adapt_peers

ESTIMATES = {
    "sketch": "nearness of sketches",
    "logme": "LogME",
    "h-score": "H-score",
    "risk": "R_m on the target's labels",
}


def measure(seed: int) -> dict[str, Any]:
    """Measure true gains and all estimates of a seed's models from home.

    Returns
    -------
    dict
        "gains" by target and candidate; "tau" and "weighted tau" by estimate: the mean over the targets.
    """
    with tempfile.TemporaryDirectory() as folder:
        strategy, _ = run(Cell(policy="random", budget=0, seed=seed, turns=1), Path(folder))
        store = ReferenceStore(Path(folder))
        models = {name: store.get(strategy.relay.newest(name)).model for name in strategy.domains}
    task = task_of(seed)
    training = replace(TRAINING, seed=seed)
    gains = true_gains(task, models, training)
    taus: dict[str, list[tuple[float, float]]] = {name: [] for name in ESTIMATES}
    for target in strategy.domains:
        splits = task.splits(target)
        others = {name: model for name, model in models.items() if name != target}
        peers = adapt_peers(others, task, splits, target)
        features = {name: layer_features(model, "embedding", [splits.inputs]) for name, model in peers.models.items()}
        labels = splits.labels.numpy()
        found = {
            "sketch": {
                name: -sketch_distance(strategy.choice.sketches[target], strategy.choice.sketches[name]) for name in others
            },
            "logme": {name: log_evidence(features[name], labels) for name in others},
            "h-score": {name: h_score(features[name], labels) for name in others},
            "risk": dict(peers.scores),
        }
        for name, values in found.items():
            taus[name].append(_tau(values, gains, target))
    means = {name: np.nanmean(rows, axis=0) for name, rows in taus.items()}
    return {
        "gains": {target: dict(gains.of(target)) for target in strategy.domains},
        "tau": {name: float(mean[0]) for name, mean in means.items()},
        "weighted tau": {name: float(mean[1]) for name, mean in means.items()},
    }


def _tau(values: Mapping[str, float], gains: Gains, target: str) -> tuple[float, float]:
    one, other = [list(pair) for pair in zip(*[(values[name], gains.of(target)[name]) for name in values], strict=True)]
    return float(kendalltau(one, other).statistic), float(weightedtau(one, other).statistic)
