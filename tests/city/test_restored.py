"""The server's folder, copied from a backup to another place: it serves the same nodes."""

import shutil
import tomllib
from dataclasses import replace

import pytest
from members import ask, join, quiet

from fedretina.city import CityFolder, approve, processes, up
from fedretina.city.connection import config_file
from fedretina.trust import Identity


@pytest.fixture
def moved(city, tmp_path, registered, monkeypatch):
    """A node, what the server signed last for it, and the server's folder from a backup that is older than that."""
    request, node = ask(tmp_path, "duke")
    node = join(city, node, approve(city, request, quiet)[1])
    backup = tmp_path / "backup"
    shutil.copytree(city.path, backup)
    server = Identity(city.path, ["server"])
    for _ in range(3):
        last = server.sign_newest({"duke": (4, b"d4")})
    return node, last, CityFolder.load(backup)


def test_nodes_believe_a_server_that_was_restored(moved):
    node, last, restored = moved
    verifier = Identity(node.path, ["duke"]).verifier
    verifier.hear_newest(last)
    later = verifier.memory.newest[1] + 60.0
    server = Identity(restored.path, ["server"], clock=lambda: later)
    heard = Identity(node.path, ["duke"], clock=lambda: later).verifier.hear_newest(server.sign_newest({}))
    assert heard.counter == later


def test_it_approves_further_nodes(moved, tmp_path):
    _, _, restored = moved
    request, node = ask(tmp_path, "cuhk03")
    assert join(restored, node, approve(restored, request, quiet)[1]).identity.root().domains.keys() == {"duke", "cuhk03"}


def test_flwr_run_finds_it_after_up(moved, monkeypatch):
    _, _, restored = moved
    monkeypatch.setattr(processes, "start", lambda *_: None)
    monkeypatch.setattr(processes, "wait_until_answers", lambda *_: None)
    up(replace(restored, port=processes.free_port()), quiet)
    connection = tomllib.loads(config_file().read_text())["superlink"]["testville"]
    assert connection["root-certificates"] == str(restored.tls / "ca.crt")
