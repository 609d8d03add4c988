"""What several rooms' tests share."""

import logging
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


@pytest.fixture(autouse=True)
def enabled_loggers() -> None:
    """Enable all loggers: Flower's data base, opened in this process by an earlier test, disables those that exist."""
    for logger in logging.root.manager.loggerDict.values():
        if isinstance(logger, logging.Logger):
            logger.disabled = False
