"""The city by its own command: killed in the middle of a round and resumed; on Ray and in a pool, with equal models."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

APP = Path(__file__).parents[2] / "simulations" / "city_scale"
SMALL = ("domains=6", "districts=2", "turns=3", "samples=60", "home-epochs=2")
TIMEOUT_S = 600


def start(tmp_path, *arguments):
    environment = os.environ | {"FEDRETINA_HOME": str(tmp_path / "home"), "OMP_NUM_THREADS": "1"}
    heeding = ["env", "--default-signal=INT"]  # a shell that runs the tests in its background has SIGINT ignored
    command = [*heeding, sys.executable, str(APP), *SMALL, "processes=1", *arguments]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def run(tmp_path, *arguments):
    with start(tmp_path, *arguments) as process:
        printed, _ = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, printed
    return printed


def turns(folder):
    return json.loads((folder / "city.json").read_text())["turns"]


def models(folder, home):
    """Digests of all versions of a run: they name the files in the nodes' folder."""
    name = json.loads((folder / "config.json").read_text())["run-name"]
    return {file.name for file in (home / "nodes" / "city_scale" / name).glob("*.ref")}


def ledger(folder):
    """Rows without what differs from run to run: nodes' identifiers, seconds, and what was sent again."""
    rows = [json.loads(line) for line in (folder / "ledger.jsonl").read_text().splitlines()]
    left_out = ("node", "encode_s", "decode_s")
    return [{key: value for key, value in row.items() if key not in left_out} for row in rows if not row["error"]]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a run that nobody killed."""
    folder = tmp_path_factory.mktemp("whole")
    assert "round 3/3" in run(folder, f"out={folder / 'run'}")
    return folder


def wait_for(replies, out, process):
    end = time.monotonic() + TIMEOUT_S
    while len(list(out.glob("replies/*/*.reply"))) < replies and process.poll() is None and time.monotonic() < end:
        time.sleep(0.02)


def check_equal(tmp_path, whole):
    assert turns(tmp_path / "run") == turns(whole / "run")
    assert models(tmp_path / "run", tmp_path / "home") == models(whole / "run", whole / "home")
    assert ledger(tmp_path / "run") == ledger(whole / "run")


@pytest.mark.slow
@pytest.mark.parametrize("ended_by", [signal.SIGKILL, signal.SIGINT])
def test_a_run_ended_in_the_middle_of_a_round_is_resumed_to_the_same_numbers(tmp_path, whole, ended_by):
    out = tmp_path / "run"
    with start(tmp_path, f"out={out}") as process:
        wait_for(9, out, process)
        os.killpg(process.pid, ended_by)  # Ctrl-C reaches all processes too
        printed, _ = process.communicate(timeout=TIMEOUT_S)
    if ended_by == signal.SIGINT:
        assert process.returncode == 130
        assert printed.endswith(f"interrupted; go on with resume='{out}'\n")
    assert 9 <= len(list(out.glob("replies/*/*.reply"))) < 18
    assert not (out / "city.json").exists()
    run(tmp_path, f"resume={out}")
    check_equal(tmp_path, whole)
    assert (out / "city.html").exists()


def workers(process):
    """Find the processes that take turns: those of the pool that multiprocessing has started."""
    text = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    commands = {int(pid): Path(f"/proc/{pid}/cmdline").read_bytes() for pid in text.split()}
    return [pid for pid, command in commands.items() if b"spawn_main" in command]


@pytest.mark.slow
def test_a_worker_that_is_killed_changes_no_number(tmp_path, whole):
    out = tmp_path / "run"
    with start(tmp_path, f"out={out}") as process:
        wait_for(4, out, process)
        (killed,) = workers(process)
        os.kill(killed, signal.SIGKILL)
        printed, _ = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, printed
    check_equal(tmp_path, whole)
    assert '"error": "sent again"' in (out / "ledger.jsonl").read_text()


@pytest.mark.slow
def test_ray_and_a_pool_of_processes_give_equal_models_and_bytes(flower, tmp_path, whole):
    out = tmp_path / "run"
    config = " ".join(SMALL)
    output = flower.run(f"{config} out='{out}'", app="city_scale", federation="num-supernodes=6 client-resources-num-cpus=1")
    assert (out / "city.json").exists(), output[-3000:]
    assert turns(out) == turns(whole / "run")
    assert models(out, Path(flower.env["FEDRETINA_HOME"])) == models(whole / "run", whole / "home")
    assert ledger(out) == ledger(whole / "run")


@pytest.mark.slow
def test_signed_versions_are_equal_on_ray_and_in_a_pool(flower, tmp_path):
    on_ray, in_pool = tmp_path / "on-ray", tmp_path / "in-pool"
    federation = "num-supernodes=6 client-resources-num-cpus=1"
    output = flower.run(f"{' '.join(SMALL)} trust=true out='{on_ray}'", app="city_scale", federation=federation)
    assert (on_ray / "city.json").exists(), output[-3000:]
    run(tmp_path, "trust=true", f"out={in_pool}")
    assert turns(on_ray) == turns(in_pool)
    assert not [turn for turn in turns(on_ray) if turn["error"] or turn["refused"]]
    assert ledger(on_ray) == ledger(in_pool)


@pytest.mark.slow
def test_a_ray_actor_that_is_killed_changes_no_number(own_flower, tmp_path, whole):
    out = tmp_path / "run"
    federation = "num-supernodes=6 client-resources-num-cpus=1"
    with own_flower.start(*SMALL, f"out='{out}'", app="city_scale", federation=federation) as process:
        wait_for(4, out, process)
        actors = [pid for pid in own_flower.processes() if b"ClientAppActor" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        assert actors
        os.kill(actors[0], signal.SIGKILL)
        printed, _ = process.communicate(timeout=TIMEOUT_S)
    assert (out / "city.json").exists(), printed[-3000:]
    assert turns(out) == turns(whole / "run")
    assert models(out, Path(own_flower.env["FEDRETINA_HOME"])) == models(whole / "run", whole / "home")
