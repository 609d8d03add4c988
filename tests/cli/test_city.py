"""`fedretina city`: what the commands pass on."""

from typer.testing import CliRunner

from fedretina import city
from fedretina.city import create, edge, make_request
from fedretina.cli import app


def test_up_starts_the_local_nodes_again(tmp_path, monkeypatch):
    monkeypatch.setenv("FLWR_HOME", str(tmp_path / "flwr"))
    (tmp_path / "flwr").mkdir()
    (tmp_path / "flwr" / "config.toml").write_text("")
    made = create(tmp_path / "city", "testville", ["127.0.0.1"], 9193)
    make_request(made.path / "local" / "duke", ["duke"], role="edge", data=None)
    started = []
    monkeypatch.setattr(city, "is_running", lambda folder: True)
    monkeypatch.setattr(edge.server, "approve", lambda city, request, show: (None, b""))
    monkeypatch.setattr(edge, "join", lambda node, answer, confirm: node)
    monkeypatch.setattr(edge, "start", lambda node, show: started.append(node.name))
    done = CliRunner().invoke(app, ["city", "up", str(made.path), "--local"])
    assert done.exit_code == 0, done.output
    assert started == ["duke"]


def test_up_starts_a_node_by_its_folder(tmp_path, monkeypatch):
    make_request(tmp_path / "node", ["duke"], role="edge", data=None)
    started = []
    monkeypatch.setattr(city, "start", lambda node, show: started.append(node.name))
    done = CliRunner().invoke(app, ["city", "up", str(tmp_path / "node")])
    assert done.exit_code == 0, done.output
    assert started == ["duke"]
    assert "The SuperNode of duke runs" in done.output
