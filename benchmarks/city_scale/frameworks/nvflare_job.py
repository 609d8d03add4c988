"""NVIDIA FLARE: federated averaging in its simulator. Run by a Python that has nvflare and torch."""

import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import torch
from nvflare.app_opt.pt.recipes.fedavg import FedAvgRecipe
from nvflare.client.config import ExchangeFormat
from nvflare.recipe import SimEnv


class Sized(torch.nn.Module):
    """A model of that many float32 weights."""

    def __init__(self, weights: int = 250_000) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(weights // 500, 500, bias=False)


def main() -> None:
    """Run, and print what was measured."""
    clients, megabytes, rounds, threads = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    weights = round(megabytes * 250_000)
    recipe = FedAvgRecipe(
        name="sized",
        model={"class_path": "nvflare_job.Sized", "args": {"weights": weights}},
        min_clients=clients,
        num_rounds=rounds,
        train_script=str(Path(__file__).with_name("nvflare_client.py")),
        server_expected_format=ExchangeFormat.PYTORCH,
        enable_tensor_disk_offload=True,
    )
    began, cpu = time.monotonic(), usage()
    with tempfile.TemporaryDirectory() as folder:
        recipe.execute(SimEnv(num_clients=clients, num_threads=threads, workspace_root=folder))
    print(json.dumps({
        "seconds": time.monotonic() - began, "cpu": usage() - cpu,
        "rss": 1024 * max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)),
    }))  # fmt: skip


def usage() -> float:
    """Return the processor seconds of this process and of those that it has ended."""
    times = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in times)


if __name__ == "__main__":
    main()
