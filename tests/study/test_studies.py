from dataclasses import replace

import pytest

from fedretina.study import METHODS, STUDIES, Setting, paper
from fedretina.study.cell import VERSIONS
from fedretina.study.studies import ABLATION, PEER_CONTROLS, PEERS

BASE = Setting(method="alone", target="duke", sources=("msmt17", "cuhk03", "market1501"))


@pytest.mark.parametrize("name", STUDIES)
@pytest.mark.parametrize("quick", [False, True])
def test_every_setting_names_a_method_and_can_be_trained(name, quick):
    study = STUDIES[name](BASE, quick)
    assert study.name == name
    for setting in study.settings([0]):
        assert setting.method in {*METHODS, VERSIONS}
        assert setting.target == "duke"
        assert setting.training().epochs == setting.epochs
        assert setting.epochs == BASE.epochs


@pytest.mark.parametrize("name", ["table2", "fig4", "ablation", "peers"])
def test_quick_ones_are_part_of_the_whole(name):
    quick, whole = (set(STUDIES[name](BASE, q).settings([0])) for q in (True, False))
    assert quick < whole


def printed(name):
    grid = STUDIES[name](BASE, False).grids[0]
    return {place: point.paper for place, point in grid.cells.items() if point.paper}


def test_all_of_the_papers_numbers_find_their_cells():
    assert printed("table2")["msmt17 + cuhk03", "5"] == (39.39,)
    assert sorted(value for values in printed("table2").values() for value in values) == sorted(
        value for row in paper.TABLE2.values() for value in row
    )
    assert sorted(printed("table3").values()) == sorted([*paper.LOSSES.values(), *paper.TABLE3.values()])
    assert printed("table3")["+ msmt17 + cuhk03 + market1501", "mAP / Rank-1"] == (41.24, 61.04)
    assert printed("table4")["V3 with DoM", "3"] == (39.85,)
    assert printed("table4")["V3 without", "3"] == (0.16,)


def test_other_sources_have_no_numbers_of_the_paper():
    other = replace(BASE, sources=("yard", "hall"))
    points = STUDIES["table2"](other, False).grids[0].cells
    assert all(point.paper == () for point in points.values())


def test_table_4_and_fig_5_are_one_training():
    assert STUDIES["table4"](BASE, False).settings([0]) == STUDIES["fig5"](BASE, False).settings([0])


def test_ablation_and_peers_have_every_method_but_that_of_table_3():
    assert {name for names in ABLATION.values() for name in names} | {*PEERS, *PEER_CONTROLS} == set(METHODS) - {"mutual"}
    assert {s.loss for s in STUDIES["ablation"](BASE, False).settings([0])} == {"softmax+triplet"}


def test_an_ablation_of_another_part_of_labels_is_of_that_part():
    shares = [
        {s.labelled for s in STUDIES["ablation"](it, False).settings([0])} for it in (BASE, replace(BASE, labelled=0.5))
    ]
    assert shares == [{0.3, 0.1}, {0.5}]


def test_one_source_is_enough_for_every_study():
    for make in STUDIES.values():
        assert make(replace(BASE, sources=("yard",)), True).settings([0])


def test_peers_take_the_sources_in_order_and_show_the_traffic():
    by_count, traffic = STUDIES["peers"](BASE, False).grids
    assert by_count.cells["A: joint body", "2"].setting.sources == ("msmt17", "cuhk03")
    assert by_count.columns == ["0", "1", "2", "3"]
    for (row, column), cell in traffic.cells.items():
        assert cell.metrics[0] == {"models sent": "transfers", "MB": "megabytes"}.get(column, "mAP"), row
