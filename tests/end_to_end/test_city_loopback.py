"""A city on loopback by the commands of the guide: TLS, node authentication, sealed models, one run of duke_target."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fedretina.city.processes import free_port
from fedretina.ledger import totals
from fedretina.runs import load, read_state

APP = Path(__file__).parents[2] / "simulations" / "duke_target"
SOURCES = ("msmt17", "cuhk03", "market1501")
NODES = ("duke", *SOURCES)
SHORT = (
    f"sources='{','.join(SOURCES)}' rounds=3 local-epochs=1 home-epochs=1 epoch-images=32 committee=false baselines=false "
    "body-rounds=0 co-training='off' image-height=64 image-width=32 seal=true"
)
REQUIRE_SEALED = "[trust]\nrequire_sealed = true\n"


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
def test_four_commands_from_nothing_to_rounds_of_sealed_models(command, tmp_path):
    said = command("fedretina", "city", "init", "town", "--name", "town", "--local", "--address", f"127.0.0.1:{free_port()}")
    assert "Read this aloud" in said
    command("fedretina", "city", "up", "town", "--local", "--domains", ",".join(NODES))
    before = json.loads(command("fedretina", "city", "status", "town", "--json"))
    assert [(row["node"], row["connection"], row["last_report_s"]) for row in before] == [
        (name, "online", None) for name in sorted(NODES)
    ]
    for name in NODES:
        (tmp_path / "town" / "local" / name / "policy.toml").write_text(REQUIRE_SEALED)
    out = tmp_path / "run"
    command("flwr", "run", str(APP), "town", "--stream", "-c", f"{SHORT} out='{out}'")
    run = load(out)
    assert run.status == "completed", run.error
    assert not [row.error for row in run.rows if row.error]
    check_digests(tmp_path, out)
    after = {row["node"]: row for row in json.loads(command("fedretina", "city", "status", "town", "--json"))}
    assert {row["version"] for row in after.values()} == {3}
    assert all(row["attacks"] == {} and row["behind"] == 0 for row in after.values())
    assert "fedretina" in command("fedretina", "city", "status", "town")
    newest = json.loads(command("flwr", "ls", "town", "--format", "json"))["runs"][0]
    assert totals(run.rows).wire == pytest.approx(newest["network-traffic"]["total-bytes"], rel=0.01)


def check_digests(folder, out):
    """Check that makers, server and target agree on every stream, and that the server saved no model."""
    sealed = read_state(out).sealed
    server = json.loads((folder / "town" / "memory.json").read_text())["installed"]
    target = json.loads((folder / "town" / "local" / "duke" / "memory.json").read_text())["installed"]
    assert sealed.keys() == server.keys() == set(NODES)
    for name in NODES:
        assert server[name] == [3, sealed[name]]
    for name in SOURCES:
        assert target[name] == [3, sealed[name]]
    assert not (out / "models").exists()
    assert all(path.read_bytes().find(b"FRS1") > 0 for path in (out / "streams" / "sealed").rglob("*.sealed"))
