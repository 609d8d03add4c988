"""The SuperLink of a city: what it is started with, and what is refused."""

import socket
from dataclasses import replace

import pytest
from members import quiet

from fedretina.city import create, processes, up
from fedretina.errors import BadArgument


@pytest.fixture
def started(monkeypatch):
    """The commands of the processes that would have been started."""
    commands = []

    def start(folder, command, show, environment):
        commands.append(command)

    monkeypatch.setattr(processes, "start", start)
    monkeypatch.setattr(processes, "wait_until_answers", lambda *_: None)
    return commands


def test_a_port_that_an_older_superlink_has_is_named(city, started):
    with socket.create_server(("127.0.0.1", 0)) as older:
        port = older.getsockname()[1]
        with pytest.raises(BadArgument, match=f"port {port} is taken by another process, perhaps an older"):
            up(replace(city, port=port), quiet)
    assert not started


def test_it_starts_with_tls_node_authentication_and_a_database(city, started):
    up(replace(city, port=processes.free_port()), quiet)
    (command,) = started
    for option, file in (
        ("--ssl-ca-certfile", city.tls / "ca.crt"),
        ("--ssl-certfile", city.tls / "server.crt"),
        ("--ssl-keyfile", city.tls / "server.key"),
        ("--database", city.database),
    ):
        assert command[command.index(option) + 1] == str(file)
    assert "--enable-supernode-auth" in command
    assert "--insecure" not in command


@pytest.mark.parametrize(("host", "listens"), [("127.0.0.1", "127.0.0.1"), ("retina.example", "0.0.0.0")])
def test_a_local_city_listens_on_loopback_only(tmp_path, city, started, host, listens):
    made = create(tmp_path / "other", "other", [host], processes.free_port())
    up(made, quiet)
    (command,) = started
    assert command[command.index("--host") + 1] == listens
