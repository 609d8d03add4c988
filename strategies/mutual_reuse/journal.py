"""The journal of a run: every reply as it came. A run that was killed is replayed from it, and goes on where it ended."""

import json
from pathlib import Path
from typing import Any

from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict

from fedretina.atomic import write_bytes
from fedretina.errors import Corrupt, translate_errors
from fedretina.json_files import parse_json

_HEAD_BYTES = 8


class Journal:
    """Replies by domain and turn, in a folder of files.

    Everything at the server follows from the replies and the seed. So a run that reads its replies from here gives the same
    numbers, to the byte, as one that was never killed.

    Parameters
    ----------
    folder : Path
        The folder; it is made with the first reply.

    Examples
    --------
    >>> import tempfile
    >>> journal = Journal(Path(tempfile.mkdtemp()))
    >>> journal.write("mill", 1, RecordDict({"size": MetricRecord({"raw": 5})}))
    >>> journal.read("mill", 1)["size"]["raw"], journal.read("mill", 2)
    (5, None)
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, domain: str, turn: int, reply: RecordDict) -> None:
        """Keep a reply; the file is whole or not there."""
        file = self._file(domain, turn)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(file, _dump(reply), private=True)

    def read(self, domain: str, turn: int) -> RecordDict | None:
        """Return the reply of a turn; None if there is none.

        Raises
        ------
        Corrupt
            If its file is damaged.
        """
        file = self._file(domain, turn)
        if not file.exists():
            return None
        with translate_errors(Corrupt, f"the journal's file {file} cannot be read", "remove it; its turn is then repeated"):
            return _load(file.read_bytes())

    def _file(self, domain: str, turn: int) -> Path:
        return self.folder / str(turn) / f"{domain}.reply"


def _dump(reply: RecordDict) -> bytes:
    """Write the payloads one after the other, behind a JSON head that says where they are."""
    blobs: list[bytes] = []
    head: dict[str, Any] = {"metrics": {n: dict(r) for n, r in reply.metric_records.items()}, "arrays": {}, "configs": {}}
    for name, record in reply.array_records.items():
        head["arrays"][name] = [[key, a.dtype, list(a.shape), a.stype, len(a.data)] for key, a in record.items()]
        blobs += [array.data for array in record.values()]
    for name, config in reply.config_records.items():
        head["configs"][name] = {key: _to_json(value) for key, value in config.items()}
    text = json.dumps(head).encode()
    return b"".join([len(text).to_bytes(_HEAD_BYTES), text, *blobs])


def _load(data: bytes) -> RecordDict:
    end = _HEAD_BYTES + int.from_bytes(data[:_HEAD_BYTES])
    head = parse_json(data[_HEAD_BYTES:end])
    reply = RecordDict({name: MetricRecord(record) for name, record in head["metrics"].items()})
    for name, config in head["configs"].items():
        reply[name] = ConfigRecord({key: _from_json(value) for key, value in config.items()})
    for name, arrays in head["arrays"].items():
        record = ArrayRecord()
        for key, dtype, shape, stype, size in arrays:
            record[key] = Array(dtype, tuple(shape), stype, data[end : end + size])
            end += size
        reply[name] = record
    if end != len(data):
        raise ValueError(f"it has {len(data)} bytes, its head says {end}")
    return reply


def _to_json(value: Any) -> Any:
    """Return a value of a ConfigRecord, or a list of them, with bytes in hexadecimal digits."""
    if isinstance(value, list):
        return [_to_json(each) for each in value]
    return {"hex": value.hex()} if isinstance(value, bytes) else value


def _from_json(value: Any) -> Any:
    if isinstance(value, list):
        return [_from_json(each) for each in value]
    return bytes.fromhex(value["hex"]) if isinstance(value, dict) else value
