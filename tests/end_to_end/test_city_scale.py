"""The city by its own command, with worker processes; it is resumed to the same numbers."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

APP = Path(__file__).parents[2] / "simulations" / "city_scale"
SMALL = ("domains=6", "districts=2", "turns=2", "samples=60", "home-epochs=2", "processes=1")


@pytest.mark.slow
def test_a_small_city_and_its_resumption(tmp_path):
    def run(*arguments):
        environment = os.environ | {"FEDRETINA_HOME": str(tmp_path / "home"), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, str(APP), *SMALL, *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)

    out = tmp_path / "run"
    done = run(f"out={out}")
    assert done.returncode == 0, done.stderr
    assert "round 2/2" in done.stdout
    assert (out / "city.html").exists()
    first = (out / "city.json").read_bytes()
    shutil.rmtree(out / "replies" / "2")  # as if it was killed after the first round
    resumed = run(f"resume={out}")
    assert resumed.returncode == 0, resumed.stderr
    assert (out / "city.json").read_bytes() == first
