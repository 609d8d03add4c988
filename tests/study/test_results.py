"""The store of results: what is there and follows from the same key is not measured again."""

import json

import pytest

from fedretina.study import Results
from fedretina.study.results import code_digest


@pytest.fixture
def calls():
    return []


@pytest.fixture
def measure(calls):
    def measured():
        calls.append(0)
        return {"rate": len(calls)}

    return measured


def test_a_result_is_measured_once_for_a_key(tmp_path, measure, calls):
    for key, rate in (("a", 1), ("a", 1), ("b", 2), ("a", 3)):
        assert Results(tmp_path).measured("deep/name", measure, key=key) == {"rate": rate}
    assert len(calls) == 3
    assert (tmp_path / "deep" / "name.json").exists()


def test_what_was_interrupted_is_measured_again(tmp_path, measure):
    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Results(tmp_path).measured("name", interrupted)
    assert list(tmp_path.iterdir()) == []
    assert Results(tmp_path).measured("name", measure) == {"rate": 1}


@pytest.mark.parametrize("text", ["{", "[1]", "{}", "3", '{"value": 1}'])
def test_a_damaged_result_is_named_and_measured_again(tmp_path, measure, caplog, text):
    (tmp_path / "name.json").write_text(text)
    assert Results(tmp_path).entry("name") is None
    assert list(Results(tmp_path).entries()) == []
    assert "name.json is damaged" in caplog.text
    assert Results(tmp_path).measured("name", measure) == {"rate": 1}


def test_notes_stand_in_the_file_and_come_back(tmp_path):
    results = Results(tmp_path)
    results.put("b", 2.5, key="k", setting={"seed": 1})
    results.put("a", None)
    assert json.loads((tmp_path / "b.json").read_text()) == {"key": "k", "setting": {"seed": 1}, "value": 2.5}
    assert [(entry.name, entry.value, entry.notes) for entry in results.entries()] == [
        ("a", None, {}),
        ("b", 2.5, {"setting": {"seed": 1}}),
    ]
    assert [entry.name for entry in results.entries("b*")] == ["b"]


def test_code_is_hashed_by_name_and_content(tmp_path):
    package, module = tmp_path / "package", tmp_path / "module.py"
    package.mkdir()
    for file in (package / "a.py", package / "page.py", module):
        file.write_text("one")
    before = code_digest([package, module], without=["page.py"])
    (package / "page.py").write_text("two")
    (package / "notes.txt").write_text("two")
    assert code_digest([package, module], without=["page.py"]) == before
    (package / "a.py").write_text("two")
    assert code_digest([package, module], without=["page.py"]) != before
