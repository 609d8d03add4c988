"""A disk that is full on a node: the round fails for that node with a reason, and its version before stays in force."""

import errno
from pathlib import Path

import numpy as np
import pytest
from flwr.serverapp.strategy import FedAvg

from fedretina.dom import ReferenceStore
from fedretina.flower import DomGrid, DomMod
from fedretina.testing import LocalGrid, to_record, toy_app, toy_model


class FullDisk:
    """Lets writes below a folder fail while `full` is true."""

    def __init__(self, folder: Path, monkeypatch) -> None:
        self.folder, self.full, write = folder, False, Path.write_bytes

        def write_bytes(path, data):
            if self.full and path.is_relative_to(folder):
                raise OSError(errno.ENOSPC, "No space left on device", str(path))
            return write(path, data)

        monkeypatch.setattr(Path, "write_bytes", write_bytes)


@pytest.fixture
def disk(tmp_path, monkeypatch):
    return FullDisk(tmp_path / "node", monkeypatch)


def held(disk):
    return {path.stem for path in disk.folder.glob("*.ref")}


def test_a_full_disk_fails_the_round_and_keeps_what_was_there(disk, tmp_path):
    grid = DomGrid(LocalGrid(toy_app(DomMod(disk.folder)), 2), store=tmp_path / "server")
    strategy = FedAvg(fraction_evaluate=0.0)
    first = strategy.start(grid, to_record(toy_model()), num_rounds=1).arrays
    before, rows = held(disk), len(grid.ledger.rows)

    disk.full = True
    strategy.start(grid, to_record({name: array + np.float32(0.1) for name, array in toy_model().items()}), num_rounds=1)
    said = [row.error for row in grid.ledger.rows[rows:] if row.error]
    assert said
    assert all("cannot be written: No space left on device; free space, or give another folder" in error for error in said)
    assert held(disk) == before

    disk.full, rows = False, len(grid.ledger.rows)
    again = strategy.start(grid, first, num_rounds=1).arrays
    assert not [row.error for row in grid.ledger.rows[rows:] if row.error]
    assert all(np.isfinite(array.numpy()).all() for array in again.values())
    assert all(ReferenceStore(disk.folder).get(digest) is not None for digest in before)
