"""Pictures of rankings: only those in the target's folder of data are copied, whatever a node names."""

import json

import pytest

from fedretina.runs import RunFolder, load


@pytest.fixture
def data(tmp_path):
    for name in ("duke/query/1.jpg", "duke/gallery/2.PNG", "yard/3.jpg", "secret.txt"):
        file = tmp_path / "data" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(name.encode())
    return tmp_path / "data"


def ranking(query, *gallery):
    return {
        "query": {"picture": str(query), "identity": 7, "camera": 1},
        "gallery": [{"picture": str(place), "identity": 8, "camera": 2, "right": False} for place in gallery],
    }


def test_pictures_are_copied_by_target(tmp_path, data):
    folder = RunFolder(tmp_path / "run")
    shown = ranking(data / "duke/query/1.jpg", data / "duke/gallery/2.PNG")
    folder.write_rankings({"duke": [shown], "yard": [ranking(data / "yard/3.jpg")], "empty": []}, data=data)
    found = json.loads((folder.path / "ranking.json").read_text())
    assert found["duke"][0]["query"] == {"picture": "ranking/duke/q0.jpg", "identity": "7", "camera": "1"}
    assert found["duke"][0]["gallery"][0]["picture"] == "ranking/duke/q0-00.png"
    assert (folder.path / "ranking/duke/q0-00.png").read_bytes() == b"duke/gallery/2.PNG"
    assert (folder.path / found["yard"][0]["query"]["picture"]).read_bytes() == b"yard/3.jpg"
    (folder.path / "config.json").write_text("{}")
    assert {target: len(rankings) for target, rankings in load(folder.path).rankings.items()} == {"duke": 1, "yard": 1}


@pytest.mark.parametrize(
    "picture",
    [
        "{data}/secret.txt", "{data}/yard/3.jpg", "{data}/duke/../secret.txt", "{data}/duke/query/../../secret.txt",
        "/etc/hostname", "secret.txt", "../secret.txt", "{data}/duke", "{data}/duke/gone.jpg", "", "a\0b", "{data}/dukes/x",
        "//etc/hostname", "file:///etc/hostname", "~/secret.txt",
    ],
)  # fmt: skip
@pytest.mark.parametrize("place", ["query", "gallery"])
def test_no_other_file_of_the_server_is_copied(tmp_path, data, picture, place, caplog, monkeypatch):
    monkeypatch.chdir(data)
    good, bad = data / "duke/query/1.jpg", picture.replace("{data}", str(data))
    shown = ranking(bad, good) if place == "query" else ranking(good, bad)
    folder = RunFolder(tmp_path / "run")
    folder.write_rankings({"duke": [shown]}, data=data)
    copied = [path for path in folder.path.rglob("*") if path.is_file()]
    assert {path.read_bytes() for path in copied} <= {good.read_bytes()}
    assert not (folder.path / "ranking.json").exists()
    assert "the rankings of duke are left out: picture" in caplog.text
    assert "Images stay on their node: a report shows only those that lie in the same folder of the server" in caplog.text


@pytest.mark.parametrize(
    "shown", [3, None, {}, {"query": 3}, {"query": {"picture": 3}}, {"query": {"picture": "x"}, "gallery": {}}]
)
def test_a_damaged_ranking_is_left_out(tmp_path, data, shown, caplog):
    folder = RunFolder(tmp_path / "run")
    folder.write_rankings({"duke": [shown]}, data=data)
    assert not (folder.path / "ranking.json").exists()
    assert "the rankings of duke are left out" in caplog.text


def test_a_node_cannot_fill_the_disk(tmp_path, data):
    picture = data / "duke/query/1.jpg"
    folder = RunFolder(tmp_path / "run")
    folder.write_rankings({"duke": [ranking(picture, *[picture] * 1000)] * 1000}, data=data)
    assert len(list((folder.path / "ranking/duke").iterdir())) == 6 * 11


def test_a_data_set_of_links_is_read(tmp_path, data):
    (data / "duke/query/link.jpg").symlink_to(data / "secret.txt")
    folder = RunFolder(tmp_path / "run")
    folder.write_rankings({"duke": [ranking(data / "duke/query/link.jpg")]}, data=data)
    assert (folder.path / "ranking/duke/q0.jpg").read_bytes() == b"secret.txt"
