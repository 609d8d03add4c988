"""A city in folders, without Flower's processes."""

import pytest

from fedretina.city import create, processes


@pytest.fixture
def registered(monkeypatch):
    """The commands that would have run."""
    commands = []
    monkeypatch.setattr(processes, "run", lambda command, show: commands.append(command) or "")
    return commands


@pytest.fixture
def city(tmp_path, monkeypatch):
    monkeypatch.setenv("FLWR_HOME", str(tmp_path / "flwr"))
    (tmp_path / "flwr").mkdir()
    (tmp_path / "flwr" / "config.toml").write_text('[superlink]\ndefault = "local"\n')
    return create(tmp_path / "city", "testville", ["retina.example", "10.0.0.5"], 9193)
