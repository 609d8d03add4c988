"""The first look at a city, by the two lines of the guide: real processes on loopback, with TLS and keys per node."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fedretina.city import CityFolder, NodeFolder, is_running
from fedretina.city.processes import free_port

DOMAINS = ("duke", "msmt17")


@pytest.fixture
def type_line(tmp_path):
    """Types a line in a shell of a user who has never used Flower."""
    env = {**os.environ, "FLWR_HOME": str(tmp_path / "flwr"), "FEDRETINA_HOME": str(tmp_path / "home"), "COLUMNS": "200"}
    env["PATH"] = f"{Path(sys.executable).parent}:{env['PATH']}"

    def type_(*words):
        done = subprocess.run(words, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout, done.stderr

    yield type_
    type_("fedretina", "city", "down", "city")


@pytest.mark.slow
def test_two_lines_make_a_city_and_one_ends_it(type_line, tmp_path):
    type_line("fedretina", "city", "init", "city", "--local", "--address", f"127.0.0.1:{free_port()}")
    said, shown = type_line("fedretina", "city", "up", "city", "--local", "--domains", ",".join(DOMAINS))
    assert "Next: flwr run simulations/duke_target city --stream" in said
    assert "--insecure" not in shown
    assert shown.count("$ flower-supernode") == shown.count("--root-certificates") == len(DOMAINS)

    def rows():
        return json.loads(type_line("fedretina", "city", "status", "city", "--json")[0])

    assert [(row["node"], row["connection"]) for row in rows()] == [(name, "online") for name in DOMAINS]
    city = CityFolder.load(tmp_path / "city")
    nodes = [NodeFolder.load(city.path / "local" / name) for name in DOMAINS]
    keys = {path.read_bytes() for node in nodes for path in node.keys.glob("*.pem")}
    assert len(keys) == 2 * len(DOMAINS)  # each node has its own

    type_line("fedretina", "city", "down", "city")
    assert not [one for one in (city, *nodes) if is_running(one)]
    said, _ = type_line("fedretina", "city", "up", "city", "--local")  # the same city once more
    assert said.count("The SuperNode of") == len(DOMAINS)
    assert [row["connection"] for row in rows()] == ["online"] * len(DOMAINS)
