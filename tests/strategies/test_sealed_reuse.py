"""PeerReuse over sealed streams: the results of an open run, by a server that reads metrics only; and it resumes."""

import pytest
from digits_run import TARGET, TOPOLOGY, client_app, run
from safetensors.numpy import load_file

from digits import Digits
from fedretina.dom import ReferenceStore, digest
from fedretina.errors import BadArgument
from fedretina.flower import sealed_digest
from fedretina.ledger import totals
from small_city import City

SETTINGS = {"rounds": 2, "local_epochs": 1, "home_epochs": 1, "baselines": False}


@pytest.fixture
def city(tmp_path, monkeypatch):
    app = client_app(tmp_path / "machines", Digits(targets=TOPOLOGY.targets))
    return City(tmp_path, monkeypatch, app, domains=TOPOLOGY.domains, front_end=True)


def of_target(result):
    return result.targets[TARGET].rounds


def test_a_sealed_run_gives_what_an_open_run_gives(city, tmp_path):
    result, wire = run(tmp_path / "sealed", grid=city.grid, trust=city.server(), **SETTINGS)
    plain, open_wire = run(tmp_path / "open", nodes=3, **SETTINGS)
    assert of_target(result) == of_target(plain)
    digests = {name: sealed_digest(record) for name, record in result.models.items()}
    newest = {row.stream: row.digest for row in open_wire.ledger.rows if row.direction == "up" and row.stream}
    assert digests == newest
    assert not [row.error for row in wire.ledger.rows if row.error]
    store = ReferenceStore(tmp_path / "sealed" / "references")
    assert not any(digest in store for digest in digests.values())
    with pytest.raises(BadArgument, match="sealed for its recipients"):
        result.models["upright"].to_numpy_ndarrays()
    of_domains = [row for row in wire.ledger.rows if row.domain != "kiosk"]  # the open run has no front end
    assert totals(of_domains).raw == pytest.approx(totals(open_wire.ledger.rows).raw, rel=0.01)


def test_only_the_targets_and_front_ends_can_read(city, tmp_path):
    result, _ = run(tmp_path / "sealed", grid=city.grid, trust=city.server(), **SETTINGS)
    keys = {name: key.id for name, key in city.server().verifier.root.sealing_keys([*TOPOLOGY.domains, "kiosk"]).items()}
    readers = {name: set(record["sealed"].source.link.stanzas) for name, record in result.models.items()}
    assert readers == {
        "upright": {keys[TARGET], keys["kiosk"]},
        "left": {keys[TARGET], keys["kiosk"]},
        TARGET: {keys["kiosk"]},
    }


def test_the_front_end_gets_the_target_and_nothing_else(city, tmp_path):
    result, wire = run(tmp_path / "sealed", grid=city.grid, trust=city.server(), **SETTINGS)
    kiosk = tmp_path / "machines" / "models" / str(100 + len(TOPOLOGY.domains))
    assert [path.name for path in kiosk.iterdir()] == [f"{TARGET}.safetensors"]
    assert digest(load_file(kiosk / f"{TARGET}.safetensors")) == sealed_digest(result.models[TARGET])
    sent = [(row.round, row.stream, row.kind) for row in wire.ledger.rows if row.domain == "kiosk" and row.stream]
    assert sent == [(1, TARGET, "keyframe"), (2, TARGET, "delta")]
    assert city.identity(-1).verifier.memory.versions.keys() == {TARGET}


def test_a_sealed_run_resumes(city, tmp_path):
    uninterrupted, _ = run(tmp_path / "open", nodes=3, **SETTINGS)

    saved = {}

    def stop(number, so_far):
        saved["result"] = so_far
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "a", grid=city.grid, trust=city.server(), on_round=stop, **SETTINGS)
    again, wire = run(tmp_path / "a", grid=city.grid, trust=city.server(), result=saved["result"], **SETTINGS)
    assert of_target(again) == of_target(uninterrupted)
    assert {row.kind for row in wire.ledger.rows if row.direction == "up" and row.stream} == {"delta"}
