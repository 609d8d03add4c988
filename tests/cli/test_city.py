"""`fedretina city`: what the operators of server and edge machines type, and what they read."""

import io
import json
import shlex

import pytest
from rich.console import Console
from typer.testing import CliRunner

from fedretina import city
from fedretina.city import CityFolder, NodeFolder, NodeStatus, create, edge, first_fingerprint, make_request, processes
from fedretina.cli import app
from fedretina.cli.city_table import status_table


@pytest.fixture
def shell(tmp_path, monkeypatch):
    """A function that types a line in an empty folder and returns exit code and output. Flower does not run."""
    monkeypatch.setenv("FLWR_HOME", str(tmp_path / "flwr"))
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "flwr").mkdir()
    (tmp_path / "flwr" / "config.toml").write_text("")
    monkeypatch.chdir(tmp_path)

    def run(command, show):
        show(shlex.join(command))
        return '{"node-id": 7}'

    def type_line(line, answer=""):
        done = CliRunner().invoke(app, ["city", *shlex.split(line)], input=answer)
        return done.exit_code, done.output

    monkeypatch.setattr(processes, "run", run)
    return type_line


@pytest.fixture
def started(monkeypatch):
    """The names of the nodes that would have been started."""
    names = []
    monkeypatch.setattr(city, "start", lambda node, show: names.append(node.name))
    monkeypatch.setattr(edge, "start", lambda node, show: names.append(node.name))
    return names


@pytest.fixture
def fingerprint(shell, tmp_path):
    """A city whose SuperLink does not run, and an approved request of duke: what `city init` printed to be read aloud."""
    _, printed = shell("init --name town --address 127.0.0.1:1")
    found = first_fingerprint(CityFolder.load(tmp_path / "city"))
    assert f"Read this aloud to everyone who joins:\n\n    {found}\n" in printed
    assert "Next: fedretina city up city" in printed
    shell("request --domains duke -o duke.request")
    return found


@pytest.fixture
def healthy(monkeypatch):
    """The doctor finds nothing."""
    monkeypatch.setattr(city, "examine", lambda node: [city.Finding("ok", "all is well")])


def test_up_starts_the_local_nodes_again(tmp_path, monkeypatch, shell, started):
    made = create(tmp_path / "city", "testville", ["127.0.0.1"], 9193)
    make_request(made.path / "local" / "duke", ["duke"], role="edge", data=None)
    monkeypatch.setattr(city, "is_running", lambda folder: True)
    monkeypatch.setattr(edge.server, "approve", lambda city, request, show: (None, b""))
    monkeypatch.setattr(edge, "join", lambda node, answer, confirm: node)
    code, printed = shell("up city --local")
    assert code == 0, printed
    assert started == ["duke"]


def test_commands_and_remarks_are_told_apart(shell, monkeypatch):
    def start(node, show):
        show("flower-supernode --superlink 10.0.0.1:9093")
        show("# refused: next try in 10 s")

    monkeypatch.setattr(city, "start", start)
    shell("request --domains duke -o duke.request")
    _, printed = shell("up node")
    assert printed.startswith("$ flower-supernode --superlink 10.0.0.1:9093\n# refused: next try in 10 s\n")


def test_up_starts_a_node_by_its_folder(shell, started):
    shell("request --domains duke -o duke.request")
    code, printed = shell("up node")
    assert (code, started) == (0, ["duke"])
    assert "The SuperNode of duke runs" in printed


def test_approve_shows_the_command_of_flower_and_writes_the_answer(shell, fingerprint, tmp_path):
    code, printed = shell("approve duke.request")
    assert code == 0
    assert f"$ flwr supernode register {tmp_path}/city/nodes/duke.pub town --name duke" in printed
    assert "duke (edge) is admitted. Send back duke.join." in printed
    assert (tmp_path / "duke.join").exists()


def test_join_asks_for_the_fingerprint_checks_the_machine_and_starts(shell, fingerprint, started, healthy, tmp_path):
    shell("approve duke.request")
    code, printed = shell("join duke.join", "y\n")
    assert (code, started) == (0, ["duke"])
    assert f"The file's city root has the fingerprint\n\n    {fingerprint}\n" in printed
    assert "Does the operator read the same aloud? [y/N]" in printed
    assert "ok       all is well" in printed
    assert NodeFolder.load(tmp_path / "node").address == "127.0.0.1:1"


@pytest.mark.parametrize("answer", ["n\n", "\n"])
def test_join_keeps_nothing_if_the_operator_reads_something_else(shell, fingerprint, started, healthy, tmp_path, answer):
    shell("approve duke.request")
    code, printed = shell("join duke.join", answer)
    assert (code, started) == (1, [])
    assert "not what the operator reads aloud: ask the operator for the right file" in printed
    assert NodeFolder.load(tmp_path / "node").address == ""


def test_join_takes_the_fingerprint_as_an_option(shell, fingerprint, started, healthy):
    shell("approve duke.request")
    assert shell(f"join duke.join --fingerprint '{fingerprint}' --no-start")[0] == 0
    assert started == []
    for other in ("0000", ""):
        code, printed = shell(f"join duke.join --fingerprint '{other}'")
        assert code == 1
        assert "ask the operator for the right file" in printed


def test_join_starts_nothing_on_a_machine_with_an_error(shell, fingerprint, started):
    shell("approve duke.request")
    code, printed = shell(f"join duke.join --fingerprint '{fingerprint}'")
    assert (code, started) == (1, [])
    assert "error    nothing answers at 127.0.0.1:1: bring the city up" in printed
    code, again = shell("doctor node")
    assert code == 1
    assert printed.endswith(again)


def test_status_as_text_and_as_json(shell, fingerprint):
    code, printed = shell("status")
    assert code == 0
    assert "No node is admitted yet. Next, with a request from an edge machine: fedretina city approve" in printed
    shell("approve duke.request")
    code, printed = shell("status")
    assert code == 0
    head, row, *_, packages = printed.splitlines()
    assert head.split() == ["node", "domains", "role", "Flower", "report", "version", "behind", "today", "refused"]
    assert row.split()[:6] == ["duke", "duke", "edge", "unknown", "never", "none"]
    assert packages == "packages on duke: unknown"
    code, printed = shell("status --json")
    assert [row["node"] for row in json.loads(printed)] == ["duke"]


def test_the_table_of_nodes_fits_a_terminal_and_shows_what_differs():
    rows = [
        NodeStatus("duke", ("duke",), "edge", "online", 12, 3, 42.0, 1_500_000, "fedretina 0.1.0", {"RolledBack": 2}),
        NodeStatus("north", ("msmt17", "cuhk03"), "edge", "online", 9, 0, None, 0, "fedretina 0.1.0", {}),
        NodeStatus("desk", (), "front-end", "offline", 0, 0, None, 0, "", {}),
    ]
    console = Console(width=80, file=io.StringIO())
    console.print(status_table(rows))
    printed = console.file.getvalue()
    assert max(map(len, printed.splitlines())) <= 80
    assert "duke refused: RolledBack 2" in printed
    assert "front-end" in printed
    assert "42 s ago" in printed
    assert printed.count("fedretina 0.1.0") == 1
    assert "packages on duke, north: fedretina 0.1.0" in printed
    assert "packages on desk: unknown" in printed


def test_revoke_and_rotate(shell, fingerprint, started, healthy, tmp_path):
    shell("approve duke.request")
    shell(f"join duke.join --fingerprint '{fingerprint}'")
    code, printed = shell("rotate duke -o rotated.request")
    assert code == 0
    assert "then: fedretina city join FILE.join --dir node" in printed
    assert shell("approve rotated.request")[0] == shell("join rotated.join", "y\n")[0] == 0
    code, printed = shell("revoke duke")
    assert code == 0
    assert "$ flwr supernode unregister 7 town" in printed
    assert "lists no domain; nodes learn it with their next message" in printed


def test_units_are_printed(shell, fingerprint, tmp_path):
    code, printed = shell("units city --systemd --user retina")
    assert code == 0
    assert "User=retina\nRestart=always\nRestartSec=70\n" in printed
    code, printed = shell("units city --compose --image retina:1")
    assert code == 0
    assert "image: retina:1" in printed


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("init other", "no --address: name the HOST:PORT by which nodes reach this server, or say --local"),
        ("init other --address a.example:1 --address b.example:2", "the addresses have the ports 1, 2; a city has one"),
        ("approve duke.request duke.request -o one.join", "-o one.join with 2 requests: leave -o out"),
        ("approve none.request", "none.request cannot be read (No such file or directory): check its name"),
        ("units city", "say either --systemd or --compose"),
        ("units city --systemd --compose", "say either --systemd or --compose"),
        ("up nowhere", "nowhere has no node.json: make it with `fedretina city request"),
        ("up node", "has not joined a city: `fedretina city join FILE.join"),
        ("status nowhere", "nowhere has no city.json: make it with `fedretina city init DIR"),
        ("status node", "node is the folder of a node; name the folder of a city instead"),
        ("doctor city", "city is the folder of a city; name the folder of a node instead"),
    ],
)
def test_wrong_lines_are_refused_with_a_remedy(shell, fingerprint, line, said):
    code, printed = shell(line)
    assert code == 1
    assert said in printed


def test_local_nodes_need_a_local_city(shell, monkeypatch):
    shell("init --name town --address retina.example:9193")
    monkeypatch.setattr(city, "is_running", lambda folder: True)
    code, printed = shell("up city --local --domains duke")
    assert code == 1
    assert "the city town has the address retina.example:9193; make a local one" in printed
