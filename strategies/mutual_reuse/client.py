"""The node's half: trains one domain for one turn, alone or with the peers' models of the message."""

import math
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from flwr.app import ConfigRecord, Context, Message, MetricRecord, RecordDict
from torch import nn

from fedretina.errors import FedRetinaError, UnknownBase
from fedretina.features import layer_features
from fedretina.flower import RelayedModels
from fedretina.strategies.mutual_reuse.turns import (
    SKETCH,
    SKETCH_DIRECTIONS,
    SKETCH_FEATURES,
    UNDECODED,
    TurnOrder,
    sketch_record,
)
from fedretina.strategies.peer_reuse.admission import Admission, AdmissionLimits
from fedretina.strategies.peer_reuse.jobs import Job
from fedretina.strategies.peer_reuse.replies import error_record
from fedretina.strategies.peer_reuse.target import TargetWorker
from fedretina.strategies.selection import MIN_SAMPLES, log_evidence, sketch
from fedretina.task import Splits, Task
from fedretina.train import (
    EpochRange,
    OnEpoch,
    Peers,
    SourceWeights,
    Training,
    adapt_peers,
    check_finite,
    load_arrays,
    model_arrays,
    seeded,
    training_device,
)

MUTUAL_LIMITS = AdmissionLimits(change=1.8, growth=math.inf)
"""Honest domains changed by 1.5 in the median and by 1.74 at most when they started from a peer's model (city_scale, seeds 7
and 8); flipped signs change by 2. Other changes are much smaller, or larger, than those before: growth tells nothing."""


class MutualReuseClient:
    """Answers the messages of `MutualReuse`: one turn of one domain each.

    The node keeps versions on disk, and nothing in Flower's context or in checkpoints. So any node that sees the same disk
    can take the next turn.

    Parameters
    ----------
    task : Task
        The learning problem.
    folder : Path
        Where the history of admitted peers is kept, for `limits`.
    models : RelayedModels
        Decodes the peers' versions, and codes the domain's own.
    limits : AdmissionLimits or None
        How much peers' models may change; None admits all. In its first turn with peers a domain starts from another one's
        model, which changes it by about 1.5 of its norm. So the default is larger than that of `PeerReuseClient`.

    Examples
    --------
    In a ClientApp::

        @app.train()
        def train(message: Message, context: Context) -> Message:
            return MutualReuseClient(task, folder, RelayedModels(store, DomConfig()))(message, context)
    """

    def __init__(
        self, task: Task, folder: Path, models: RelayedModels, *, limits: AdmissionLimits | None = MUTUAL_LIMITS
    ) -> None:
        self.task, self.folder, self.models, self.limits = task, folder, models, limits

    def __call__(self, message: Message, context: Context) -> Message:
        """Do the turn, and reply; a node that lacks a base says so, and gets the message in another form."""
        try:
            reply = self._turn(message)
        except UnknownBase as error:
            reply = RecordDict({"missing": error_record(str(error))})
        except FedRetinaError as error:
            reply = RecordDict({"error": error_record(str(error))})
        return Message(reply, reply_to=message)

    def _turn(self, message: Message) -> RecordDict:
        job = Job.of(message)
        ((domain, work),) = job.work.items()
        (peers, broken), own = self.models.receive_sound(message.content), self.models.own(message.content)
        reply = RecordDict({UNDECODED: ConfigRecord({"streams": sorted(broken)})} if broken else {})
        worker = TurnWorker(self.task, self.folder / job.run, job, domain, reply)
        worker.own, worker.order, worker.refused = own, TurnOrder.of(message.content), dict(broken)
        if work == "source":
            worker.source()
        else:
            worker.reuse_peers(peers if self.limits is None else worker.admit(peers, self.limits))
        if worker.refused:
            reply[f"{domain}/refused"] = ConfigRecord(dict(worker.refused))
        began = time.perf_counter()
        for name, record in self.models.publish(domain, worker.published, message.content).items():
            reply[name] = record
        reply.metric_records["size"]["encode_s"] = time.perf_counter() - began
        return reply


class TurnWorker(TargetWorker):
    """A domain in a turn: a target as under `PeerReuse`, but each turn is a training of its own, and prints nothing.

    Its peers differ from turn to turn, so no optimiser state is kept. A turn goes on from the domain's newest version,
    `own`. Only the first turn with peers starts as `ReuseConfig.init` says.
    """

    own: Mapping[str, np.ndarray] | None = None
    order: TurnOrder
    refused: dict[str, str]
    published: Mapping[str, np.ndarray]

    def source(self) -> None:
        """Train at home, measure the model, and publish it."""
        splits = self.task.splits(self.domain)
        model = self.new_model(splits.classes, "source")
        learner = self.supervised_learner(model, splits, f"source/{self.job.round}")
        epochs = self.training.local_epochs
        if self.own is None:
            epochs += self.training.home_epochs
        else:
            load_arrays(model, self.own, self.domain)
        learner.train(EpochRange(0, epochs, epochs), len(splits.labels), self.on_epoch(""))
        self.sketch(splits)
        self.report("home", self.measure(learner))
        self.publish(model, self.domain)

    def admit(self, weights: SourceWeights, limits: AdmissionLimits) -> SourceWeights:
        """Leave out what is no sound next version of a peer."""
        used, refused = Admission(self.folder / self.domain, limits).admit(weights, self.job.round, needed=False)
        self.refused |= refused
        return used

    def reuse_peers(self, weights: SourceWeights) -> None:
        """Train with the peers' models, measure the model, and publish it; at home if none of them can be used."""
        splits = self.task.splits(self.domain)
        peers, scores = self._usable(weights, splits)
        if not peers.models:
            self.source()
            return
        model = self.new_model(splits.classes, "target")
        if self.own is None or not self.order.turns_with_peers:
            self._start(model, splits, peers, {}, {})
        else:
            load_arrays(model, self.own, self.domain)
        for peer in peers.models.values():
            peer.to(training_device(self.training))
        equation = self._equation(model, splits, peers, warm_up=True)
        labels = self._pseudo_labels(splits, peers, {})
        learner = self._learner(model, splits, f"{self.domain}/reuse/{self.job.round}", equation, labels)
        epochs = self.training.local_epochs
        learner.train(EpochRange(0, epochs, epochs), len(splits.everything()), self.on_epoch(""))
        self.sketch(splits)
        alpha = equation.alpha if equation is not None else self._theorem_alpha(peers)
        weighed = {f"alpha.{name}": weight for name, weight in alpha.items()}
        self.report("reuse", self.measure(learner) | weighed | {f"peer.{name}": x for name, x in peers.scores.items()})
        self.reply[f"{self.domain}/logme"] = MetricRecord({**scores})
        self.publish(model, self.domain)

    def _usable(self, weights: SourceWeights, splits: Splits) -> tuple[Peers, dict[str, float]]:
        """Adapt and measure each peer by itself, with its LogME: one that cannot be used is refused, and ends no turn."""
        models, measured, scores = dict[str, nn.Module](), dict[str, float](), dict[str, float]()
        for name, arrays in weights.items():
            try:
                peer = adapt_peers({name: arrays}, self.task, splits, self.domain)
                scores |= peer_scores(self.task, splits, peer)
            except FedRetinaError as error:
                self.refused[name] = str(error)
                continue
            models |= peer.models
            measured |= peer.scores
        return Peers(models, measured), scores

    def sketch(self, splits: Splits) -> None:
        """Sketch the domain, if the server asks for that and it has enough samples."""
        if self.order.sketch and len(splits.everything()) >= MIN_SAMPLES * SKETCH_DIRECTIONS:
            self.reply[SKETCH] = sketch_record(domain_sketch(self.task, splits, self.job.training))

    def publish(self, model: nn.Module, stream: str) -> None:
        """Keep the model for the reply, where it travels as a payload."""
        self.published = model_arrays(model)
        check_finite(self.published, self.domain)
        self.reply["size"] = MetricRecord({"raw": sum(array.nbytes for array in self.published.values())})

    def say(self, text: str) -> None:
        """Print nothing: a city has too many domains for a line each."""

    def on_epoch(self, name: str) -> OnEpoch:
        """Return a function that prints nothing."""
        return lambda epoch, total, loss, speed: None


def peer_scores(task: Task, splits: Splits, peers: Peers) -> dict[str, float]:
    """Compute LogME of each peer's features on the target's labelled samples; 0 for all if they show one class only."""
    if int(splits.labels.min()) == int(splits.labels.max()):
        return dict.fromkeys(peers.models, 0.0)
    inputs, layer = task.prepare(splits.inputs), task.embedding or task.layers[-1]
    device = {name: next(model.parameters()).device for name, model in peers.models.items()}
    return {
        name: log_evidence(layer_features(model, layer, [inputs.to(device[name])]), splits.labels.numpy())
        for name, model in peers.models.items()
    }


def domain_sketch(task: Task, splits: Splits, training: Training) -> np.ndarray:
    """Sketch a domain: principal directions of its samples after a random projection that follows from the run's seed.

    The mean of each camera is subtracted: it shows the camera, and a typical input. A sketch for each camera, as PACFL has
    one for each client, ranks peers no better (seeds 7 and 8 of the city) and takes more bytes.

    Parameters
    ----------
    task : Task
        It prepares the samples for the network.
    splits : Splits
        The domain's training samples, labelled or not; `groups` says which camera each is of.
    training : Training
        Its seed gives the projection: only sketches of one seed can be compared.

    Returns
    -------
    ndarray, shape (64, 4), float16
        What `fedretina.strategies.selection.sketch` makes of the projected samples.

    Raises
    ------
    BadArgument
        If there are fewer than 40 samples, or some are not finite.

    Examples
    --------
    >>> from fedretina.study.tasks import DigitDomains
    >>> task = DigitDomains(targets=("upright",), labelled=0.3)
    >>> domain_sketch(task, task.splits("upright"), Training(seed=0)).shape
    (64, 4)
    """
    flat = task.prepare(splits.everything()).flatten(1).float().clone()
    groups = splits.groups if splits.groups is not None else torch.zeros(len(flat), dtype=torch.int64)
    for group in sorted(set(groups.tolist())):
        flat[groups == group] -= flat[groups == group].mean(0)
    with seeded(training, "sketch"):
        projection = torch.randn(flat.shape[1], SKETCH_FEATURES) / flat.shape[1] ** 0.5
    return sketch((flat @ projection).numpy(), SKETCH_DIRECTIONS)
