"""One cell: a whole run of PeerReuse in this process, with some of the peers bad from a round on."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from flwr.app import Array, ArrayRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp
from safetensors.numpy import load_file, save_file

from fedretina.atomic import replacing
from fedretina.errors import FedRetinaError
from fedretina.reid import ReIdTask, make_task
from fedretina.strategies import (
    AdmissionLimits,
    Job,
    PeerReuse,
    PeerReuseClient,
    ReuseConfig,
    RunResult,
    Topology,
    hosted_domains,
)
from fedretina.testing import LocalGrid
from fedretina.train import Training
from poisoned.attacks import ATTACKS, MISLABELLED, MislabelledTask

TOPOLOGY = Topology(targets=("duke",), sources=("msmt17", "cuhk03", "market1501"))
FIRST_BAD_ROUND = 2


@dataclass(frozen=True)
class Cell:
    """An attack ("" is none), how many of the three peers are bad, whether the target defends itself, and the seed."""

    attack: str
    bad: int
    defended: bool
    seed: int

    @property
    def name(self) -> str:
        return f"{self.attack or 'none'}-{self.bad}-{'with' if self.defended else 'without'}-{self.seed}"


def measure(cell: Cell, training: Training, state: Path) -> dict[str, Any]:
    """Return the target's mAP of each round, the last alpha, and what ended the run ("" if nothing did)."""
    logging.getLogger("fedretina.strategies").setLevel(logging.ERROR)
    found: dict[str, Any] = {"mAP": [], "alpha": {}, "error": ""}

    def on_round(_: int, result: RunResult) -> None:
        entry = result.targets["duke"].rounds[-1]
        found["mAP"].append(entry.metrics["mAP"])
        found["alpha"] = entry.alpha

    reuse = ReuseConfig() if cell.defended else ReuseConfig(alpha="uniform")
    strategy = PeerReuse(TOPOLOGY, training, reuse, run=cell.name, baselines=False, on_round=on_round)
    grid = LocalGrid(_app(cell, training, state), len(TOPOLOGY.domains))
    for node, domain in zip(grid.contexts.values(), TOPOLOGY.domains, strict=True):
        node.node_config["domains"] = domain
    try:
        strategy.start(grid)
    except FedRetinaError as error:
        found["error"] = str(error)
    return found


def _app(cell: Cell, training: Training, state: Path) -> ClientApp:
    task = make_task(
        TOPOLOGY.targets, TOPOLOGY.sources, models={"": "small"}, loss_name="softmax+triplet", seed=training.seed
    )
    limits = AdmissionLimits() if cell.defended else None
    target = PeerReuseClient(task, state / "nodes", limits=limits)
    source = Source(cell, task, state / "sources" / str(training.seed))
    app = ClientApp()
    app.query("domains")(hosted_domains)

    def answer(message: Message, context: Context) -> Message:
        (work,) = Job.of(message).work.values()
        return (source if work == "source" else target)(message, context)

    app.query("describe")(answer)
    app.train()(answer)
    return app


class Source:
    """A peer. What it publishes does not depend on the cell, so each version is trained once and kept."""

    def __init__(self, cell: Cell, task: ReIdTask, folder: Path) -> None:
        self.cell, self.folder = cell, folder
        wrong = MislabelledTask(**{entry.name: getattr(task, entry.name) for entry in fields(ReIdTask)})
        self.tasks: Mapping[str, ReIdTask] = {"honest": task, MISLABELLED: wrong}

    def __call__(self, message: Message, context: Context) -> Message:
        job = Job.of(message)
        (domain,) = job.work
        bad = domain in TOPOLOGY.sources[: self.cell.bad] and job.round >= FIRST_BAD_ROUND
        attack = self.cell.attack if bad else ""
        arrays = self._version(MISLABELLED if attack == MISLABELLED else "honest", domain, job, context)
        sent = ATTACKS[attack](arrays) if attack else arrays
        record = ArrayRecord({name: Array(value) for name, value in sent.items()})
        return Message(RecordDict({domain: record}), reply_to=message)

    def _version(self, kind: str, domain: str, job: Job, context: Context) -> Mapping[str, Any]:
        """Return a version; those of the rounds before are made first, so that checkpoints continue."""
        for number in range(1, job.round + 1):
            if not (file := self.folder / kind / f"{domain}-{number}.safetensors").exists():
                file.parent.mkdir(parents=True, exist_ok=True)
                arrays = self._train(kind, domain, replace(job, run=kind, round=number), context)
                with replacing(file) as fresh:
                    save_file(arrays, fresh)
        return load_file(file)

    def _train(self, kind: str, domain: str, job: Job, context: Context) -> dict[str, Any]:
        asked = Message(RecordDict({"job": job.record()}), dst_node_id=context.node_id, message_type="train")
        reply = PeerReuseClient(self.tasks[kind], self.folder / "checkpoints")(asked, context)
        return {name: array.numpy() for name, array in reply.content.array_records[domain].items()}
