"""The page of a city, also of a large one."""

import numpy as np
import pytest

from fedretina.errors import Corrupt
from fedretina.report import build_city
from fedretina.report.city import MOST_ARROWS, strongest_arrows
from fedretina.runs import City, CityDomain, write_city


def city(count):
    rng = np.random.default_rng(0)
    names = [f"d{i}" for i in range(count)]
    domains = [CityDomain(name, i % 7, *rng.normal(size=2).tolist(), 1e6, 1e5) for i, name in enumerate(names)]
    turns = [
        {
            "domain": name, "number": number, "end": float(100 * number + i), "down": 100 * i, "up": 50, "error": "",
            "refused": {names[i - 1]: "it changed"} if number > 1 else {},
            "metrics": {"accuracy": 50.0 + number}, "alpha": {names[i - 1]: 0.7, names[i - 2]: 0.3} if number > 1 else {},
        }
        for number in (1, 2) for i, name in enumerate(names)
    ]  # fmt: skip
    return City("accuracy", domains, turns)


@pytest.mark.parametrize("count", [3, 1000])
def test_the_page_shows_map_gains_and_traffic(tmp_path, count):
    write_city(tmp_path, city(count))
    page = build_city(tmp_path).read_text()
    assert f"A city of {count} domains" in page
    assert page.count("data:image/png") == 4
    assert f"0 of them failed; {count} peers' versions were not admitted" in page
    assert "52.00" in page
    assert len(page) < 3_000_000
    assert len(strongest_arrows(city(count))) <= MOST_ARROWS


def test_a_folder_without_a_city_is_refused(tmp_path):
    with pytest.raises(Corrupt, match="cannot be read"):
        build_city(tmp_path)
