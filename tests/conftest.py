"""What several rooms' tests share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def omniglot() -> Path:
    """Real, small re-identification domains: a folder per alphabet; skips where FEDRETINA_TEST_DATA is not set."""
    data = os.environ.get("FEDRETINA_TEST_DATA")
    if not data:
        pytest.skip("FEDRETINA_TEST_DATA is not set: it names the folder that contains omniglot_reid")
    folder = Path(data) / "omniglot_reid"
    assert folder.is_dir(), f"FEDRETINA_TEST_DATA is set, but there is no {folder}"
    return folder
