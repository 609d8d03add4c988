"""The JSON files of a run, one by one: an error names the file and what is wrong in it."""

import json
from pathlib import Path

import pytest

from fedretina.errors import Corrupt
from fedretina.runs import read_config, read_state


def test_a_configuration_holds_no_lists(run: Path) -> None:
    assert read_config(run).values["rounds"] == 5
    (run / "config.json").write_text(json.dumps({"sources": ["duke"]}))
    with pytest.raises(Corrupt, match=r"config\.json: sources is \['duke'\]: a text"):
        read_config(run)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({}, "run is missing"),
        ({"run": "abc", "targets": {"duke": {"rounds": [{"metrics": {}}]}}}, r"duke, rounds\[0\]: round is missing"),
        ({"run": "abc", "targets": {"duke": {"rounds": [{"round": 1, "alpha": [1]}]}}}, r"rounds\[0\], alpha: an object"),
        ({"run": "abc", "models": "duke"}, "models is 'duke'"),
    ],
)
def test_a_bad_state_names_file_and_key(tmp_path: Path, state: dict[str, object], words: str) -> None:
    with pytest.raises(Corrupt, match=r"state\.json is missing"):
        read_state(tmp_path)
    (tmp_path / "state.json").write_text(json.dumps(state))
    with pytest.raises(Corrupt, match=f"state.json.*{words}"):
        read_state(tmp_path)
