"""Front ends get every target's newest model: they train nothing, and serve what uses the models.

A front end is a node with the role "front-end" (``fedretina city request --role front-end``). It hosts no data of the run.
"""

import logging
from collections.abc import Mapping
from pathlib import Path

from flwr.app import ArrayRecord, ConfigRecord, Context, Message, RecordDict
from flwr.serverapp import Grid
from safetensors.numpy import save_file

from fedretina.atomic import replacing
from fedretina.errors import BadArgument
from fedretina.strategies.peer_reuse.admission import storable
from fedretina.strategies.peer_reuse.replies import failure_of

DELIVERY = "query.models"
"""The type of the messages that carry models to front ends."""
_log = logging.getLogger("fedretina.strategies")


def deliver(
    grid: Grid,
    front_ends: Mapping[int, tuple[str, ...]],
    models: Mapping[str, ArrayRecord],
    *,
    number: int,
    timeout: float | None,
) -> None:
    """Send the targets' models of a round to the front ends. One that is gone is named, and gets the next round's.

    Parameters
    ----------
    grid : Grid
        The run's grid; a `DomGrid` relays the payloads of the targets.
    front_ends : mapping of int to tuple of str
        By node: the domains that it speaks for.
    models : mapping of str to ArrayRecord
        The targets' newest versions, by stream.
    number : int
        The round.
    timeout : float or None
        Seconds to wait for the answers; None: no limit.
    """
    content = RecordDict(dict(models))
    messages = [Message(content, dst_node_id=node, message_type=DELIVERY, group_id=str(number)) for node in front_ends]
    received = set()
    for reply in grid.send_and_receive(messages, timeout=timeout):
        if (reason := failure_of(reply)) is None:
            received.add(reply.metadata.src_node_id)
        else:
            _log.warning("round %d: a front end did not take the models: %s", number, reason)
    if missing := [",".join(names) for node, names in front_ends.items() if node not in received]:
        _log.warning("round %d: without the new models: front end %s", number, "; ".join(missing))


class ModelFolder:
    """Answers a front end's messages: writes each model that arrives as a file, whole or not at all.

    Parameters
    ----------
    folder : Path
        Gets a file ``STREAM.safetensors`` for each target.

    Examples
    --------
    In a ClientApp::

        @app.query("models")
        def models(message: Message, context: Context) -> Message:
            return ModelFolder(folder)(message, context)
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, message: Message, context: Context) -> Message:
        """Write the message's models; reply with the error if the disk refuses."""
        try:
            for stream, record in message.content.array_records.items():
                print(f"{stream:<24} new model in {self._write(stream, record)}", flush=True)
        except OSError as error:
            text = f"the models cannot be written to {self.folder}: {error.strerror or error}; free space"
            return Message(RecordDict({"error": ConfigRecord({"text": text})}), reply_to=message)
        except BadArgument as error:
            return Message(RecordDict({"error": ConfigRecord({"text": str(error)})}), reply_to=message)
        return Message(RecordDict(), reply_to=message)

    def _write(self, stream: str, record: ArrayRecord) -> Path:
        parts = stream.split("/")
        if any(not part or part.startswith(".") or "\\" in part or "\0" in part for part in parts):
            raise BadArgument(f"a model came as the stream {stream!r}, which is no stream's name: nothing was written")
        file = self.folder.joinpath(*parts[:-1], f"{parts[-1]}.safetensors")
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as fresh:
            save_file({name: storable(array.numpy()) for name, array in record.items()}, fresh)
        return file
