"""What is installed from a wheel is whole: an unlisted package works in an editable install and is missing there."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
def test_every_package_imports_from_a_wheel(tmp_path):
    site = tmp_path / "site"
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(site), str(ROOT)], check=True)
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    code = f"import sys; sys.path.insert(0, {str(site)!r})\n" + "\n".join(f"import {name}" for name in packages)
    code += "\nimport fedretina, fedretina.strategies; print(fedretina.__file__, fedretina.strategies.__file__)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert all(Path(file).is_relative_to(site) for file in done.stdout.split())
    assert (site / "fedretina" / "report" / "page.html.j2").exists()
    assert (site / "fedretina" / "py.typed").exists()
    assert shutil.which("cc") is None or [*(site / "fedretina" / "dom" / "kernels").glob("_compiled.abi3.*")]
