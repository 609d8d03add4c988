import json
from dataclasses import replace

import pytest

from fedretina.study import Cell, Grid, Study
from fedretina.study.page import cell_text, markdown, to_json


@pytest.fixture
def results(base):
    return {replace(base, seed=s): {"mAP": 30.0 + s, "rank1": 50.0, "minutes": 2.0} for s in (0, 2)}


@pytest.fixture
def study(base):
    points = {("alone", "30 %"): Cell(base, paper=(31.53, 49.55)), ("reuse", "10 %"): Cell(replace(base, method="reuse"))}
    return Study("table9", "Table 9", "Does it?", (Grid("All", "method", points),), ("A note.",))


def test_a_cell_has_mean_and_spread_and_the_papers_numbers_only_beside_its_data(base, results):
    point = Cell(base, paper=(31.53, 49.55))
    assert cell_text(point, results, [0, 2], published=False) == "31.0 ± 1.4 / 50.0"
    assert cell_text(point, results, [0, 2], published=True) == "31.0 ± 1.4 / 50.0 (31.53 / 49.55)"
    assert cell_text(point, results, [0], published=False) == "30.0 / 50.0"
    assert cell_text(Cell(replace(base, method="reuse")), results, [0], published=True) == ""


def test_the_page_says_what_was_run(study, results):
    text = markdown(study, results, [0, 2], command="fedretina study table9", data="digits", published=False)
    assert "| method | 30 % | 10 % |" in text
    assert "| alone | 31.0 ± 1.4 / 50.0 |  |" in text
    for words in ("`fedretina study table9`", "Data: digits.", "4 minutes", "Seeds 0, 2", "- A note.", "(table9.png)"):
        assert words in text
    assert "31.53" not in text
    assert "the paper's numbers" not in text
    assert "(31.53 / 49.55)" in markdown(study, results, [0], command="c", data="d", published=True)


def test_the_document_has_every_value(study, results):
    found = json.loads(json.dumps(to_json(study, results, [0, 2], published=True)))
    cell = found["grids"][0]["cells"][0]
    assert cell["metrics"]["mAP"] == {"values": [30.0, 32.0], "mean": 31.0, "deviation": pytest.approx(2**0.5)}
    assert cell["paper"] == [31.53, 49.55]
    assert "seed" not in cell["setting"]
    assert to_json(study, results, [0], published=False)["grids"][0]["cells"][0]["paper"] == []
