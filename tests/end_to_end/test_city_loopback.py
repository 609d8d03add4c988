"""A city on loopback by the commands of the guide: TLS, node authentication, signed models, one run of duke_target."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fedretina.city.processes import free_port
from fedretina.runs import load

APP = Path(__file__).parents[2] / "simulations" / "duke_target"
SHORT = (
    "sources='market1501' rounds=2 local-epochs=1 home-epochs=1 epoch-images=32 committee=false baselines=false "
    "image-height=64 image-width=32"
)


@pytest.fixture
def command(tmp_path):
    """Run a command in a home of its own; end the city's processes at last."""
    env = {**os.environ, "FLWR_HOME": str(tmp_path / "flwr"), "FEDRETINA_HOME": str(tmp_path / "home"), "COLUMNS": "200"}
    env["PATH"] = f"{Path(sys.executable).parent}:{env['PATH']}"

    def run(*words):
        done = subprocess.run(words, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=900, check=False)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    yield run
    subprocess.run(["fedretina", "city", "down", "town"], env=env, cwd=tmp_path, check=False)


@pytest.mark.slow
def test_four_commands_from_nothing_to_a_round_of_signed_models(command, tmp_path):
    said = command("fedretina", "city", "init", "town", "--name", "town", "--local", "--address", f"127.0.0.1:{free_port()}")
    assert "Read this aloud" in said
    command("fedretina", "city", "up", "town", "--local", "--domains", "duke,market1501")
    before = json.loads(command("fedretina", "city", "status", "town", "--json"))
    assert [(row["node"], row["connection"], row["last_report_s"]) for row in before] == [
        ("duke", "online", None),
        ("market1501", "online", None),
    ]
    out = tmp_path / "run"
    command("flwr", "run", str(APP), "town", "--stream", "-c", f"{SHORT} out='{out}'")
    run = load(out)
    assert run.status == "completed"
    after = {row["node"]: row for row in json.loads(command("fedretina", "city", "status", "town", "--json"))}
    assert after["duke"]["version"] == after["market1501"]["version"] == 2
    assert all(row["attacks"] == {} and row["behind"] == 0 for row in after.values())
    held = json.loads((tmp_path / "town" / "local" / "duke" / "memory.json").read_text())["installed"]
    assert held["market1501"][0] == 2
    assert "fedretina" in command("fedretina", "city", "status", "town")
