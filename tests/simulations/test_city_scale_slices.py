"""The city over slices of real data: cameras of a data set as domains."""

import json

import pytest
from city_scale_run import Killed, run_city

from fedretina.errors import BadArgument

SLICES = {
    "cameras": 5, "domains": 4, "turns": 2, "home-epochs": 1, "local-epochs": 1, "budget": 0, "policy": "all",
    "labelled": 0.6, "spread": 0.0, "offline": 0.0,
}  # fmt: skip


def test_cameras_of_a_data_set_learn_from_each_other(omniglot, tmp_path, monkeypatch):
    with pytest.raises(Killed):
        run_city(tmp_path, monkeypatch, killed_after=5, **SLICES, **{"data-root": str(omniglot / "latin")})
    turns = run_city(tmp_path, monkeypatch, resume=True)
    names = ["latin-c1-5", "latin-c6-10", "latin-c11-15", "latin-c16-20"]
    assert {turn.domain for turn in turns} == set(names)
    assert not any(turn.error for turn in turns)
    assert max(len(turn.versions) for turn in turns) == 3
    assert all(0 < turn.metrics["mAP"] <= 100 and set(turn.alpha) == set(turn.versions) for turn in turns)
    assert json.loads((tmp_path / "run" / "city.json").read_text())["metric"] == "mAP"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"domains": 30}, "domains = 30: .*latin has 1 data set.* with 20 cameras.* give domains = 4 or less"),
        ({"cameras": 30}, "cameras = 30: .*latin has 20 camera"),
        ({"bad": 0.1}, "bad = 0.1 with data-root: only a made city has bad domains"),
        ({"split-by": "day"}, "split-by = 'day': allowed are 'camera', 'site'"),
        ({"model": "huge"}, "model = 'huge': allowed are 'small'"),
        ({"data-root": "data"}, "data-root = 'data': give an absolute path"),
    ],
)
def test_wrong_values_end_the_run_before_it_begins(omniglot, tmp_path, monkeypatch, changed, message):
    config = SLICES | {"data-root": str(omniglot / "latin")} | changed
    with pytest.raises(BadArgument, match=message):
        run_city(tmp_path, monkeypatch, **config)
    assert not (tmp_path / "run" / "config.json").exists()
