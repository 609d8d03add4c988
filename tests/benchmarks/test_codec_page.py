"""The whole benchmark, small: one command trains, measures, draws and writes; a second run measures nothing again."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from codec.loss.channels import QUICK
from codec.roster import EFFORTS, peers, schemes
from codec.vectors.roster import QUICK_VECTORS

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


@pytest.fixture(scope="module")
def loss_page(folder):
    return (folder / "docs" / "codec-loss.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def gpt_page(folder):
    return (folder / "docs" / "codec-gpt.md").read_text(encoding="utf-8")


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


@pytest.mark.parametrize("family", schemes(1.0, quick=True, nncodec=False))
def test_all_schemes_are_in_the_table(page, family):
    assert f"| {family} |" in page


def test_every_vector_is_judged_with_every_peer(loss_page):
    vectors = loss_page.split("## Bits against error and against loss")[1].split("\n### ")[1:]
    assert [part.split("\n")[0] for part in vectors] == list(QUICK_VECTORS)
    for part in vectors:
        for peer in {peer.family for peer in peers()}:
            assert f"| {peer} |" in part


def test_what_is_uncoded_loses_nothing(loss_page):
    rows = re.findall(r"\| none \| none \| 32.000 \| ([\d.]+) \| (-?[\d.]+) % \|", loss_page)
    assert rows == [("0.0000", "0.00")] * len(QUICK_VECTORS)


def test_images_of_the_page_by_loss_are_there(folder, loss_page):
    images = re.findall(r"!\[[^]]*\]\(([^)]+)\)", loss_page)
    assert len(images) == len(QUICK_VECTORS) + 1
    for image in images:
        assert (folder / "docs" / image).read_bytes().startswith(b"\x89PNG")


def test_every_channel_of_the_federation_is_in_the_table(loss_page):
    for channel in QUICK:
        assert f"| {channel} |" in loss_page


def test_the_page_of_the_gpt_has_all_its_parts(gpt_page):
    small = re.findall(r"\| one step of 1 RMS \| (fast|balanced|small) \| [\d.]+ \| [\d.]+ \| ([\d.]+) \|", gpt_page)
    assert [effort for effort, _ in small] == list(EFFORTS)
    assert all(float(header) < 2 for _, header in small)  # bytes a tensor, where the base has the names
    assert re.search(r"\| gpt-tiny-lora-zero \| 1 RMS \| balanced \|", gpt_page)
    assert "| DoM fast, all cores |" in gpt_page or os.cpu_count() == 1


def test_sensitivities_save_loss_at_equal_bytes(gpt_page):
    rows = re.findall(r"\| vit \| [\d.]+ \| (-?[\d.]+) \| (-?[\d.]+) \|", gpt_page)
    without, given = (sum(map(float, column)) for column in zip(*rows, strict=True))
    assert given < without


def test_lossless_is(page):
    assert re.search(r"\| DoM lossless \| lossless \| [\d.]+ \| 0\.0000 \|", page)


def test_a_second_run_reads_what_the_first_measured(folder, page):
    assert run(folder) == ""
    assert (folder / "docs" / "codec.md").read_text(encoding="utf-8") == page
