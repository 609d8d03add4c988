"""The benchmark of networks: runs are kept and paired, the table names rounds that are too low, the page has a picture."""

import numpy as np
import pytest
import torch

from any_strategy import network_tables, networks, page
from any_strategy.network_data import split_by_dirichlet
from any_strategy.network_models import NETWORKS, start, train
from fedretina.study import Results

FAST = "norm-first-wine"


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_classifies_its_examples_and_follows_its_seed(name):
    data, model = NETWORKS[name].load(), start(name, 0).eval()
    assert model(data.test_x[:4]).shape == (4, data.classes)
    again, other = start(name, 0).state_dict(), start(name, 1).state_dict()
    assert all(torch.equal(value, again[key]) for key, value in model.state_dict().items())
    assert not all(torch.equal(value, other[key]) for key, value in model.state_dict().items())


def test_a_frozen_body_stays_as_it_is():
    model, data, how = start("frozen-body", 0), NETWORKS["frozen-body"].load(), NETWORKS["frozen-body"]
    before = {key: value.clone() for key, value in model.state_dict().items()}
    train(model, data.x[:64], data.y[:64], how, epochs=1, seed=0)
    changed = {key.split(".")[0] for key, value in model.state_dict().items() if not torch.equal(value, before[key])}
    assert changed == {"head"}


def test_all_rows_are_dealt_once():
    labels = torch.tensor(np.arange(100) % 7)
    shares = split_by_dirichlet(labels, 4, skew=2.0, seed=1)
    assert sorted(torch.cat(shares).tolist()) == list(range(100))


def test_lossless_coding_trains_as_plain_flower_does():
    plain, lossless = (networks.run(FAST, networks.CODECS[codec], seed=0, rounds=3) for codec in ("plain", "lossless"))
    assert plain["accuracy"] == lossless["accuracy"]
    assert plain["running_variances"] == lossless["running_variances"]
    assert plain["running_variances"]["count"] == 3 * 8 * 13  # rounds, messages in each, features
    assert plain["running_variances"]["least"] > 0
    assert lossless["wire_bytes"] < plain["wire_bytes"] == plain["raw_bytes"]


def test_batchnorm_on_unscaled_columns_trains_over_dom():
    plain, dom = (networks.run(FAST, networks.CODECS[codec], seed=0, rounds=5) for codec in ("plain", "dom"))
    example = 100 / len(NETWORKS[FAST].load().test_y)
    assert plain["accuracy"][-1] > 90
    assert dom["accuracy"][-1] > plain["accuracy"][-1] - 2.5 * example  # a coarse running variance: 40 points lower
    assert dom["running_variances"]["negative"] == 0
    assert dom["running_variances"]["least"] == pytest.approx(plain["running_variances"]["least"], rel=0.3)


def test_runs_are_stored_and_continue(tmp_path, monkeypatch):
    asked = []

    def run(name, config, seed, rounds):
        asked.append((name, seed))
        return _run([90.0] * rounds)

    monkeypatch.setattr(networks, "run", run)
    networks.measure([0], tmp_path, rounds=2, names=[FAST])
    found = networks.measure([0, 1, 2], tmp_path, rounds=2, names=[FAST, "chaotic-mlp"])
    assert [asked.count((FAST, seed)) for seed in (0, 1, 2)] == [3, 3, 2]  # lossless: two seeds
    assert {codec: len(runs) for codec, runs in found["networks"]["chaotic-mlp"].items()} == {
        "plain": 6,
        "dom": 6,
        "lossless": 4,
    }


def _run(accuracy, *, wire=100, least=0.5, negative=0):
    variances = {"count": 10, "negative": negative, "least": least}
    sizes = {"raw_bytes": 1000, "wire_bytes": wire, "parameters": 1117, "seconds": 1.0}
    return {"accuracy": accuracy, "running_variances": variances, **sizes}


@pytest.fixture
def found():
    plain = [_run([50.0, 80.0, 96.0], wire=1000), _run([60.0, 82.0, 96.0], wire=1000)]
    dom = [_run([45.0, 70.0, 97.0]), _run([57.0, 72.0, 96.0], least=-0.25, negative=3)]
    lossless = [plain[0] | {"wire_bytes": 500}, plain[1] | {"wire_bytes": 500, "accuracy": [60.0, 82.0, 95.0]}]
    return {"seeds": [0, 1], "rounds": 3, "networks": {FAST: {"plain": plain, "dom": dom, "lossless": lossless}}}


def test_the_table_names_the_rounds_below_the_spread(found):
    row = (
        "| BatchNorm first, wine | 1,117 | 2 | 96.0 ± 0.0 | +0.5 ± 0.5 | -10.0 ± 0.0 (round 2) | 2 | -0.2 | 10.0 x | 2.0 x |"
    )
    assert row in network_tables.table(found)
    assert "networks: 3. Below the spread: 1. Above it, by the same rule: 0." in network_tables.below_and_above(found)
    assert "20 running variances arrived" in network_tables.negative(found)
    assert "3 of them were below 0; the least was -0.25" in network_tables.negative(found)
    assert "1 of 2 runs" in network_tables.equal_runs(found)


@pytest.mark.parametrize(("apart", "below", "above"), [(-3.0, True, False), (-2.0, False, False), (3.0, False, True)])
def test_less_than_one_test_example_is_always_within_the_spread(apart, below, above):
    runs = {"plain": [_run([90.0])] * 3, "dom": [_run([90.0 + apart])] * 3}
    (one,) = network_tables.rounds_of(FAST, runs)  # tested on 44 examples: one of them is 2.3 points
    assert (one.is_below, one.is_above) == (below, above)


def test_the_page_has_the_table_and_the_picture(found, tmp_path, monkeypatch):
    monkeypatch.setattr(page, "PAGE", tmp_path / "page.md")
    monkeypatch.setattr(page, "DOCS", tmp_path)
    (tmp_path / "images").mkdir()
    Results(tmp_path).put("networks", found)
    page.write(tmp_path)
    assert "## Every kind of network, round by round" in (tmp_path / "page.md").read_text()
    assert (tmp_path / "images" / network_tables.PICTURE).stat().st_size > 1000
