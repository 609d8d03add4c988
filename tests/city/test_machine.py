"""Certificates, Flower's configuration, unit files, and the doctor: every finding is provoked once."""

import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
import tomllib
from collections.abc import Iterator
from dataclasses import replace

import pytest
import yaml
from cryptography import x509

from fedretina.city import CityFolder, NodeFolder, compose_file, create, doctor, examine, make_request, systemd_unit
from fedretina.city.connection import write_connection
from fedretina.city.folders import package_versions
from fedretina.errors import BadArgument


@pytest.fixture
def city(tmp_path, monkeypatch) -> CityFolder:
    monkeypatch.setenv("FLWR_HOME", str(tmp_path / "flwr"))
    (tmp_path / "flwr").mkdir()
    (tmp_path / "flwr" / "config.toml").write_text(
        '[superlink]\ndefault = "local"\n\n[superlink.local]\naddress = ":local:"\n'
    )
    return create(tmp_path / "city", "testville", ["127.0.0.1", "retina.example"], 9193)


class Server(threading.Thread):
    """A TLS server that answers every connection with one text."""

    def __init__(self, city: CityFolder, answer: str, host: str = "127.0.0.1") -> None:
        super().__init__(daemon=True)
        self.answer = answer
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(city.tls / "server.crt", city.tls / "server.key")
        self.plain = socket.create_server((host, 0))
        self.port = self.plain.getsockname()[1]
        self.context = context

    def run(self) -> None:
        while True:
            try:
                connection, _ = self.plain.accept()
            except OSError:
                return
            try:
                with self.context.wrap_socket(connection, server_side=True) as tls:
                    tls.recv(4096)
                    tls.sendall(self.answer.encode())
            except OSError:
                continue


@pytest.fixture
def serve(city) -> Iterator:
    servers = []

    def start(seconds_off: float = 0.0) -> int:
        date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() - seconds_off))
        servers.append(Server(city, f"HTTP/1.1 200 OK\r\ndate: {date}\r\n\r\n"))
        servers[-1].start()
        return servers[-1].port

    yield start
    for server in servers:
        server.plain.close()


@pytest.fixture
def node(city, tmp_path, serve) -> NodeFolder:
    data = tmp_path / "data"
    data.mkdir()
    (data / "photo.jpg").touch()
    make_request(tmp_path / "node", ["duke"], role="edge", data=data)
    found = replace(NodeFolder.load(tmp_path / "node"), city="testville", address=f"127.0.0.1:{serve()}")
    shutil.copy(city.tls / "ca.crt", found.ca)
    return found


def findings(node, level):
    return [f"{finding.what}: {finding.remedy}" for finding in examine(node) if finding.level == level]


def one(node, level="error"):
    found = findings(node, level)
    assert len(found) == 1, found
    return found[0]


def test_the_certificate_names_every_address(city):
    found = x509.load_pem_x509_certificate((city.tls / "server.crt").read_bytes())
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["retina.example", "localhost"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]


def test_the_connection_is_added_and_renewed_beside_others(city):
    path = write_connection(replace(city, port=9200))
    text = path.read_text()
    found = tomllib.loads(text)["superlink"]
    assert found["local"] == {"address": ":local:"}
    assert found["testville"] == {"address": "127.0.0.1:9200", "root-certificates": str(city.tls / "ca.crt")}
    assert text.count("testville") == 1 + text.count(str(city.path)) * str(city.path).count("testville")
    assert write_connection(replace(city, port=9200)).read_text() == text
    path.write_text("[superlink")
    with pytest.raises(BadArgument, match="mend it"):
        write_connection(city)


def test_a_sound_machine_has_no_finding(node):
    assert findings(node, "error") == findings(node, "warning") == []
    assert len(findings(node, "ok")) == 7
    assert "the server's address is 127.0.0.1: " in findings(node, "ok")
    named = replace(node, address=node.address.replace("127.0.0.1", "localhost"))
    assert re.search(r"the server's name localhost leads to \S*127\.0\.0\.1", str(findings(named, "ok")))


def test_keys_that_are_missing_or_open(node):
    node.identity.sealing_key("duke").chmod(0o644)
    assert "chmod 600" in one(node)
    node.identity.sealing_key("duke").unlink()
    assert "is missing: restore it" in one(node)


def test_data_that_are_missing_or_empty_or_unreadable(node, tmp_path):
    (tmp_path / "data" / "photo.jpg").unlink()
    assert "is empty: put the domain's data there" in one(node)
    assert "does not exist: make it" in one(replace(node, data=str(tmp_path / "nowhere")))


def test_unreadable_data(node, monkeypatch):
    monkeypatch.setattr(doctor.os, "access", lambda *_: False)  # the tests may run as root, whom nothing stops
    assert "cannot be read: give the node's user the right" in one(node)


def test_a_full_disk(node, monkeypatch):
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 2**30))
    assert "1.0 GiB are free" in one(node)


def test_a_name_that_leads_nowhere(node):
    found = findings(replace(node, address="no-such-host.invalid:9093"), "error")
    assert "cannot be resolved: add it to DNS" in found[0]


def test_a_name_that_leads_to_this_machine(node, monkeypatch):
    monkeypatch.setattr(doctor.socket, "getaddrinfo", lambda *_: [(0, 0, 0, "", ("127.0.1.1", 0))])
    found = findings(replace(node, address="retina.example:1"), "warning")
    assert "leads to this machine itself (127.0.1.1): if the server is another machine" in found[0]


def test_a_closed_port(node):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert "nothing answers at" in one(replace(node, address=f"127.0.0.1:{port}"))


def test_a_certificate_of_another_city(node, tmp_path):
    other = create(tmp_path / "other", "other", ["127.0.0.1"])
    shutil.copy(other.tls / "ca.crt", node.ca)
    found = one(node)
    assert re.search(r"the certificate of 127\.0\.0\.1:\d+ does not fit: (self-signed|unable to get local issuer)", found)
    assert "use an address that `city init --address` named, or end an older SuperLink there" in found


def test_a_certificate_for_another_name(node, city):
    """The server can be reached under an address that `city init` was not told."""
    server = Server(city, "HTTP/1.1 200 OK\r\n\r\n", host="127.0.0.2")
    server.start()
    found = one(replace(node, address=f"127.0.0.2:{server.port}"))
    server.plain.close()
    assert "does not fit: IP address mismatch, certificate is not valid for '127.0.0.2'" in found
    assert "use an address that `city init --address` named" in found


def test_a_port_that_speaks_no_tls(node):
    plain = socket.create_server(("127.0.0.1", 0))

    def answer():
        for _ in range(2):
            connection, _address = plain.accept()
            connection.sendall(b"SSH-2.0-OpenSSH_9\r\n")
            connection.close()

    threading.Thread(target=answer, daemon=True).start()
    assert "speaks no TLS" in one(replace(node, address=f"127.0.0.1:{plain.getsockname()[1]}"))
    plain.close()


@pytest.mark.parametrize("seconds", [-300, 300])
def test_a_clock_that_is_off(node, serve, seconds):
    found = one(replace(node, address=f"127.0.0.1:{serve(seconds)}"))
    apart = int(re.search(r"this clock is ([+-]\d+) s off the server's: set it by NTP", found).group(1))
    assert abs(apart - seconds) < 10


def test_a_node_that_has_not_joined(node):
    assert "has not joined a city: fedretina city join" in one(replace(node, address=""))


def test_packages_that_differ_from_the_servers(node):
    assert findings(replace(node, packages=package_versions()), "warning") == []
    found = one(replace(node, packages={**package_versions(), "flwr": "1.0.0"}), "warning")
    assert (
        f"this machine has flwr {package_versions()['flwr']}; when the city's server approved it, that had flwr 1.0.0"
        in found
    )
    assert "install the same releases" in found


def test_a_life_that_was_killed(node):
    node.log.write_text("SuperNode ID: 7")
    assert findings(node, "warning") == []  # it was ended by `city down`
    node.pid.write_text("999999999")
    found = one(node, "warning")
    assert "was killed, or ended by a fault" in found
    assert "the server counts it as online" in found


def test_systemd_takes_the_units(city, node, tmp_path):
    for folder in (city, node):
        text = systemd_unit(folder, user="root")
        assert "RestartSec=70" in text
        assert "NoNewPrivileges=true" in text
        assert f"ProtectSystem=strict\nReadWritePaths={folder.path}\n" in text
        assert f"ReadOnlyPaths={folder.path}/keys -{folder.path}/policy.toml" in text
        path = tmp_path / "fedretina.service"
        path.write_text(text)
        if shutil.which("systemd-analyze"):
            done = subprocess.run(["systemd-analyze", "verify", str(path)], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            assert "fedretina.service" not in done.stderr


@pytest.mark.parametrize("write", [systemd_unit, compose_file])
def test_a_node_that_has_not_joined_has_no_unit(write, node):
    with pytest.raises(BadArgument, match=re.escape(f"`fedretina city join FILE.join --dir {node.path}` first")):
        write(replace(node, address=""))


def test_compose_takes_the_files(city, node, tmp_path):
    for folder in (city, node):
        path = tmp_path / "compose.yaml"
        path.write_text(compose_file(folder))
        found = yaml.safe_load(path.read_text())["services"]
        (service,) = found.values()
        assert service["command"][0] in {"flower-superlink", "flower-supernode"}
        assert service["restart"] == "always"
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
        assert "--insecure" not in service["command"]
        assert service["user"] == f"{folder.path.stat().st_uid}:{folder.path.stat().st_gid}"
        if shutil.which("docker-compose"):  # as packaged by Debian; it needs no daemon
            command = ["docker-compose", "--file", str(path), "config", "--quiet"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
