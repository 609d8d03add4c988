"""Start of a node: the server admits it, refuses it, or still counts its last life as online."""

import os
import sys
from dataclasses import replace

import pytest
from members import quiet

from fedretina.city import NodeFolder, NotStarted, edge, is_running, make_request, processes, stop

pytestmark = pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")  # as intended

SUPERNODE = """
import pathlib, socket, sys, time
port, lives = int(sys.argv[2]), pathlib.Path(sys.argv[3])
life = lives.stat().st_size + 1
lives.write_text("x" * life)
server = socket.create_server(("127.0.0.1", port))
time.sleep(0.1)
if life < int(sys.argv[4]):
    sys.exit("\\x1b[91mERROR \\x1b[0m:     Exit Code: 305\\nFailed to activate SuperNode.")
print("SuperNode ID: 7", flush=True)
time.sleep(60)
"""


@pytest.fixture
def node(tmp_path, monkeypatch):
    """A joined node whose process is admitted in its third life."""
    make_request(tmp_path / "node", ["duke"], role="edge", data=None)
    found = replace(NodeFolder.load(tmp_path / "node"), city="testville", address="127.0.0.1:1")
    lives = tmp_path / "lives"
    lives.touch()
    command = [sys.executable, "-c", SUPERNODE, "flower-supernode"]
    monkeypatch.setattr(processes, "supernode_command", lambda _, port: [*command, str(port), str(lives), "3"])
    monkeypatch.setattr(edge, "RETRY_S", 0.1)
    yield found
    stop(found)


def test_a_node_whose_last_life_counts_as_online_waits(node):
    node.log.write_text("SuperNode ID: 7\n")
    os.utime(node.log, (0, 0))  # it had nothing to say for long before it was killed
    node.pid.write_text("999999999")
    shown = []
    edge.start(node, shown.append)
    assert is_running(node)
    assert [line for line in shown if line.startswith("#")] == [
        "# refused: for a minute the server counts the last life of duke as online; next try in 0 s"
    ] * 2
    assert node.log.read_text().count("Exit Code: 305") == 2


def test_a_new_node_that_is_refused_says_why_at_once(node):
    with pytest.raises(NotStarted, match="ERROR : Exit Code: 305 / Failed to activate SuperNode") as refused:
        edge.start(node, quiet)
    assert not is_running(node)
    # It may end before it is seen to listen.
    revoked = "Ask the server's operator whether `fedretina city status` lists duke: it may be revoked"
    assert revoked in str(refused.value) or str(refused.value).startswith("the process ended")


def test_a_node_that_was_ended_by_down_and_is_refused_says_so_at_once(node):
    node.log.write_text("SuperNode ID: 7\n")
    with pytest.raises(NotStarted):
        edge.start(node, quiet)
