"""What several rooms' tests share."""

import logging
import os
from collections.abc import Iterator
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
def fresh_loggers() -> Iterator[None]:
    """Enable all loggers, which Flower's data base disables when a test opens it; restore the level that a test changed."""
    for logger in logging.root.manager.loggerDict.values():
        if isinstance(logger, logging.Logger):
            logger.disabled = False
    flower = logging.getLogger("flwr")
    level = flower.level
    yield
    flower.setLevel(level)
