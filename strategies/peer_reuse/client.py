"""The node's half: answers the messages of `PeerReuse` for the domains of one node."""

from pathlib import Path

from flwr.app import ConfigRecord, Context, Message, RecordDict

from fedretina.errors import BadArgument, FedRetinaError
from fedretina.strategies.peer_reuse.admission import AdmissionLimits
from fedretina.strategies.peer_reuse.jobs import Job
from fedretina.strategies.peer_reuse.replies import error_record
from fedretina.strategies.peer_reuse.target import TargetWorker
from fedretina.strategies.peer_reuse.worker import Progress
from fedretina.task import Task

_LIMITS = AdmissionLimits()


class PeerReuseClient:
    """Answers the messages of `PeerReuse` for the domains of one node.

    Parameters
    ----------
    task : Task
        The learning problem, over the domains of this node.
    folder : Path
        Where the node saves its checkpoints between messages.
    limits : AdmissionLimits or None
        How much peers' models may change; None admits all. The node's app decides it, not the run's configuration.
    progress : {"epoch", "round"}, default "epoch"
        Whether the node prints a line for each epoch, or one for each domain and round.

    Raises
    ------
    BadArgument
        If `progress` has another value.
    share : bool, default True
        Whether weights that were trained on this node's data as a target may go to other domains (co-training). It is the
        node's own decision: a run's configuration cannot change it.

    Examples
    --------
    In a ClientApp::

        @app.train("joint")
        @app.train()
        def train(message: Message, context: Context) -> Message:
            return PeerReuseClient(task, folder)(message, context)
    """

    def __init__(
        self,
        task: Task,
        folder: Path,
        *,
        limits: AdmissionLimits | None = _LIMITS,
        progress: Progress = "epoch",
        share: bool = True,
    ) -> None:
        if progress not in ("epoch", "round"):
            raise BadArgument(f"progress = {progress!r}: allowed are 'epoch', 'round'")
        self.task, self.folder, self.limits, self.progress, self.share = task, folder, limits, progress, share

    def __call__(self, message: Message, context: Context) -> Message:
        """Do the work of the message's job, domain by domain, and reply."""
        peers = {
            name: {key: array.numpy() for key, array in record.items()}
            for name, record in message.content.array_records.items()
        }
        reply, failing = RecordDict(), "job"
        try:
            job = Job.of(message)
            for domain, work in job.work.items():
                failing = domain
                folder, shown = self.folder / job.run, self.progress
                worker = TargetWorker(self.task, folder, job, domain, reply, progress=shown, share=self.share)
                worker.do(work, peers, self.limits)
        except FedRetinaError as error:
            reply = RecordDict({"error": error_record(f"{failing}: {error}")})
        return Message(reply, reply_to=message)


def hosted_domains(message: Message, context: Context) -> Message:
    """Answer which domains the node hosts and in which role (``node_config``), and its index in a simulation."""
    config = context.node_config
    record = ConfigRecord()
    record["domains"], record["order"] = str(config.get("domains", "")), str(config.get("partition-id", 0))
    record["role"] = str(config.get("role", "edge"))
    return Message(RecordDict({"hosts": record}), reply_to=message)
