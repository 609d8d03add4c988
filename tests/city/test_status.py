import json

import pytest
from members import ask, join, quiet

from fedretina.city import approve, node_statuses, revoke
from fedretina.errors import BadArgument
from fedretina.trust import Acknowledgement, DailyTraffic, TrustMemory, read_reports, write_reports


@pytest.fixture
def members(city, tmp_path, registered):
    for name in ("duke", "market1501"):
        request, node = ask(tmp_path, name)
        join(city, node, approve(city, request, quiet)[1])
    return city


def test_a_city_before_its_first_round(members):
    rows = node_statuses(members, quiet)
    assert [(row.node, row.domains, row.role, row.connection) for row in rows] == [
        ("duke", ("duke",), "edge", "unknown"),
        ("market1501", ("market1501",), "edge", "unknown"),
    ]
    assert all((row.version, row.behind, row.last_report_s, row.attacks) == (0, 0, None, {}) for row in rows)


def test_what_nodes_hold_and_refused(members):
    memory = TrustMemory(members.path / "memory.json")
    memory.install("duke", 3, b"d3")
    memory.install("market1501", 5, b"m5")
    DailyTraffic(members.path).add("duke", 1_500_000)
    DailyTraffic(members.path).add("cuhk03,market1501", 7)
    report = Acknowledgement("duke", {"market1501": (2, b"m2")}, 3, 1_000, {"RolledBack": 2}, "fedretina 0.1.0")
    write_reports(members.path, {"duke": report})
    assert read_reports(members.path) == {"duke": report}
    duke, market = node_statuses(members, quiet)
    assert (duke.version, duke.behind, duke.attacks, duke.release) == (3, 3, {"RolledBack": 2}, "fedretina 0.1.0")
    assert duke.last_report_s > 1e9
    assert (duke.bytes_today, market.bytes_today) == (1_500_000, 7)
    assert (market.version, market.behind, market.last_report_s) == (5, 0, None)


def test_a_revoked_domain_is_no_longer_listed(members):
    revoke(members, "duke", quiet)
    assert node_statuses(members, quiet)[0].domains == ()


def test_damaged_files_are_named(members):
    (members.path / "reports.json").write_text('{"duke": {"held": 1}}')
    with pytest.raises(BadArgument, match=r"reports\.json cannot be read .* nodes report again"):
        node_statuses(members, quiet)
    (members.path / "reports.json").unlink()
    (members.nodes / "duke.json").write_text("[]")
    with pytest.raises(BadArgument, match="approve the node's request again"):
        node_statuses(members, quiet)


def test_rows_are_json(members):
    assert json.loads(json.dumps([row.to_json() for row in node_statuses(members, quiet)]))[0]["node"] == "duke"
