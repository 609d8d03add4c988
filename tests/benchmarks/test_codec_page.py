"""The whole benchmark, small: one command trains, measures, draws and writes; a second run measures nothing again."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from codec.roster import schemes

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


def run(folder: Path) -> str:
    command = [sys.executable, str(ROOT / "benchmarks" / "codec"), "--quick"]
    places = ["--vectors", str(folder / "vectors"), "--docs", str(folder / "docs")]
    environment = os.environ | {"FEDRETINA_HOME": str(folder / "home")}
    return subprocess.run([*command, *places], check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("codec")
    run(folder)
    return folder


@pytest.fixture(scope="module")
def page(folder):
    return (folder / "docs" / "codec.md").read_text(encoding="utf-8")


def bars(page: str) -> list[list[str]]:
    part = page.split("## The bars")[1].split("##", maxsplit=1)[0]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in part.splitlines() if line.startswith("| ")][1:]


def test_every_bar_is_computed_and_judged_by_its_value(page):
    found = bars(page)
    assert {"same", "fast", "balanced", "peak"} <= {row[0].split()[0] for row in found}
    for _, _, bar, value, met in found:
        sign, limit = bar.split()
        holds = {"≤": float(value) <= float(limit), "≥": float(value) >= float(limit), "<": float(value) < float(limit)}[
            sign
        ]
        assert met in ("yes", "**no**")
        if abs(float(value) - float(limit)) > 0.01:  # both are rounded here
            assert (met == "yes") == holds, (bar, value)


def test_every_image_of_the_page_is_there(folder, page):
    images = re.findall(r"!\[[^]]*\]\(([^)]+)\)", page)
    assert len(images) == 3
    for image in images:
        assert (folder / "docs" / image).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("family", schemes(1.0, quick=True, nncodec=None))
def test_all_schemes_are_in_the_table(page, family):
    assert f"| {family} |" in page


def test_lossless_is(page):
    assert re.search(r"\| DoM lossless \| lossless \| [\d.]+ \| 0\.0000 \|", page)


def test_a_second_run_reads_what_the_first_measured(folder, page):
    assert run(folder) == ""
    assert (folder / "docs" / "codec.md").read_text(encoding="utf-8") == page
