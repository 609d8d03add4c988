from fedretina.trust import daily
from fedretina.trust.daily import FILE, DailyTraffic


def test_bytes_of_all_runs_of_a_day_are_added_up(tmp_path, monkeypatch):
    traffic = DailyTraffic(tmp_path)
    traffic.add("duke,market1501", 5)
    DailyTraffic(tmp_path).add("duke,market1501", 7)
    traffic.add("cuhk03", 1)
    assert traffic.today() == {"duke,market1501": 12, "cuhk03": 1}
    monkeypatch.setattr(daily.time, "strftime", lambda _: "2030-01-01")
    assert traffic.today() == {}
    traffic.add("cuhk03", 2)
    assert traffic.today() == {"cuhk03": 2}


def test_a_damaged_file_counts_anew(tmp_path):
    for text in ("", "[]", '{"day": 1}', '{"bytes": []}'):
        (tmp_path / FILE).write_text(text)
        assert DailyTraffic(tmp_path).today() == {}
    DailyTraffic(tmp_path).add("duke", 1)
    assert DailyTraffic(tmp_path).today() == {"duke": 1}
