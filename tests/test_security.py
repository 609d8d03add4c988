"""SECURITY.md names a test for each claim: each one exists."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "SECURITY.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_each_named_test_exists(file, name):
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_claim_names_one():
    claims = (ROOT / "SECURITY.md").read_text(encoding="utf-8").split("## Claims and their tests")[1].split("\n## ")[0]
    rows = [line for line in claims.splitlines() if line.startswith("| ") and not line.startswith("| claim")]
    assert len(rows) > 15
    assert all("::" in row for row in rows)


def test_each_measure_stands_in_the_files_that_units_prints():
    page = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    measures = page.split("| measure | what it buys |")[1].split("\n\n")[0]
    templates = ROOT / "fedretina" / "city" / "templates"
    unit, compose = (templates / name for name in ("systemd.service.j2", "compose.yaml.j2"))
    settings = re.findall(r"`([A-Z]\w+=\w*)`", measures)
    assert len(settings) >= 7
    assert not [setting for setting in settings if setting not in unit.read_text(encoding="utf-8")]
    assert not [name for name in ("read_only: true", "cap_drop: [ALL]") if name not in compose.read_text(encoding="utf-8")]
