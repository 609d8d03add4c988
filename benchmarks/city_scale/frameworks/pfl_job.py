"""pfl-research: federated averaging over clients that take one step each. Run by a Python that has pfl and torch."""

import json
import resource
import sys
import time
from typing import Any

import numpy as np
import pfl.internal.ops.pytorch_ops as ops
import torch
from pfl.aggregate.simulate import SimulatedBackend
from pfl.algorithm.base import NNAlgorithmParams
from pfl.algorithm.federated_averaging import FederatedAveraging
from pfl.callback.base import TrainingProcessCallback
from pfl.data.dataset import Dataset
from pfl.data.federated_dataset import FederatedDataset
from pfl.data.sampling import get_user_sampler
from pfl.hyperparam.base import NNEvalHyperParams, NNTrainHyperParams
from pfl.metrics import Weighted
from pfl.model.pytorch import PyTorchModel


class Sized(torch.nn.Module):
    """A model of that many float32 weights; a step changes all of them."""

    def __init__(self, weights: int) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(weights // 500, 500, bias=False)

    def loss(self, inputs: torch.Tensor, targets: torch.Tensor, eval: bool = False) -> torch.Tensor:
        """Compute the loss, as pfl calls it."""
        return (self.layer(inputs) - targets).square().mean()

    @torch.no_grad()
    def metrics(self, inputs: torch.Tensor, targets: torch.Tensor, eval: bool = False) -> dict[str, Weighted]:
        """Return a metric, as pfl calls it."""
        return {"loss": Weighted(float(self.loss(inputs, targets)), 1)}


class Times(TrainingProcessCallback):
    """Notes the end of each round."""

    def __init__(self) -> None:
        self.ends: list[tuple[float, float]] = []

    def after_central_iteration(self, aggregate_metrics: Any, model: Any, *, central_iteration: int) -> tuple[bool, Any]:
        """Note the time; the training goes on."""
        self.ends.append((time.monotonic(), time.process_time()))
        return False, aggregate_metrics.__class__()


def main() -> None:
    """Run, and print what was measured."""
    clients, megabytes, rounds = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(1)
    module, times = Sized(round(megabytes * 250_000)), Times()
    width = module.layer.in_features
    model = PyTorchModel(module, torch.optim.SGD, torch.optim.SGD(module.parameters(), lr=1.0))

    def data_of(user: int) -> Dataset:
        rng = np.random.default_rng(user)
        arrays = rng.normal(size=(1, width)).astype(np.float32), rng.normal(size=(1, 500)).astype(np.float32)
        return Dataset([torch.from_numpy(array) for array in arrays], user_id=str(user))

    users = FederatedDataset(data_of, get_user_sampler("minimize_reuse", list(range(clients))))
    backend = SimulatedBackend(training_data=users, val_data=users)
    FederatedAveraging().run(
        NNAlgorithmParams(
            central_num_iterations=rounds, evaluation_frequency=10**9, train_cohort_size=clients, val_cohort_size=0
        ),
        backend,
        model,
        NNTrainHyperParams(local_num_epochs=1, local_learning_rate=0.1, local_batch_size=None),
        NNEvalHyperParams(local_batch_size=None),
        [times],
    )
    steps = [(b[0] - a[0], b[1] - a[1]) for a, b in zip(times.ends, times.ends[1:], strict=False)]
    print(json.dumps({
        "seconds": [seconds for seconds, _ in steps], "cpu": [cpu for _, cpu in steps],
        "rss": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, "backend": ops.__name__,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
