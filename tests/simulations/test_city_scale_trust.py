"""The city with `trust`: signatures and admission; a hostile domain costs the others nothing but its own help."""

import json
import subprocess
import sys
from collections import Counter
from dataclasses import asdict, replace

import numpy as np
import pytest
from city_scale_run import APP, Killed, run_city

from fedretina.dom import DomConfig
from fedretina.flower import SignedModels
from fedretina.trust import SimulatedCity

SMALL = {
    "domains": 6, "districts": 1, "samples": 60, "turns": 4, "home-epochs": 5, "local-epochs": 1,
    "trust": True, "policy": "all", "budget": 0,
}  # fmt: skip
HOSTILE = "d002"


def run(folder, monkeypatch, **changed):
    return run_city(folder, monkeypatch, **(SMALL | changed))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as monkeypatch:
        return run(folder, monkeypatch), folder


def as_json(turns):
    return json.dumps([asdict(turn) for turn in turns])


def test_honest_versions_are_signed_and_admitted(whole):
    turns, folder = whole
    assert not any(turn.error or turn.refused for turn in turns)
    assert any(turn.versions for turn in turns)
    (nodes,) = (folder / "home" / "nodes" / "city_scale").iterdir()
    assert len(list((nodes / "identities").iterdir())) == 6
    memory = json.loads((nodes / "identities" / "d000" / "memory.json").read_text())
    assert set(memory["installed"]) == {peer for turn in turns if turn.domain == "d000" for peer in turn.versions}
    assert not memory["attacks"]


def test_signatures_change_no_number_but_bytes(whole, tmp_path, monkeypatch):
    unsigned = run(tmp_path, monkeypatch, trust=False)
    assert min(turn.down for turn in whole[0]) > min(turn.down for turn in unsigned)
    first = {turn.domain: turn.metrics for turn in unsigned if turn.number == 1}
    assert {turn.domain: turn.metrics for turn in whole[0] if turn.number == 1} == first


@pytest.mark.parametrize("killed_after", [7, 15])
def test_a_trusted_run_that_was_killed_is_resumed_to_the_same_numbers(tmp_path, monkeypatch, whole, killed_after):
    with pytest.raises(Killed):
        run(tmp_path, monkeypatch, killed_after=killed_after)
    assert as_json(run(tmp_path, monkeypatch, resume=True)) == as_json(whole[0])


def test_a_domain_that_turns_hostile_is_refused_and_its_last_sound_version_is_used(tmp_path, monkeypatch):
    publish, published = SignedModels.publish, Counter()

    def flipped(self, stream, model, content):
        published[stream] += 1
        hostile = stream == HOSTILE and published[stream] >= 3  # before, it may start anew from a peer's model
        return publish(self, stream, {k: -v for k, v in model.items()} if hostile else model, content)

    monkeypatch.setattr(SignedModels, "publish", flipped)
    turns = run(tmp_path, monkeypatch, **{"turns": 5, "home-epochs": 20, "local-epochs": 5, "spread": 0.0, "offline": 0.0})
    assert not any(turn.error for turn in turns)
    refused = [turn for turn in turns if HOSTILE in turn.refused]
    assert refused
    assert all(set(turn.refused) <= {HOSTILE} for turn in turns if turn.domain != HOSTILE)
    assert all("of its norm, allowed is" in turn.refused[HOSTILE] for turn in refused)
    assert any(HOSTILE in turn.alpha for turn in refused)  # its last admitted version


@pytest.mark.parametrize("domains", [3, 2])
def test_a_model_that_is_not_finite_is_not_used(tmp_path, monkeypatch, domains):
    publish, hostile = SignedModels.publish, "d001"

    def broken(self, stream, model, content):
        if stream == hostile:
            self = replace(self, config=DomConfig(lossless=True))  # other payloads cannot have such values
            model = model | {"head.bias": model["head.bias"] + np.float32("inf")}
        return publish(self, stream, model, content)

    monkeypatch.setattr(SignedModels, "publish", broken)
    turns = run(tmp_path, monkeypatch, turns=3, domains=domains, spread=0.0, offline=0.0)
    turns = [turn for turn in turns if turn.domain != hostile]
    assert not any(turn.error for turn in turns)
    refused = [turn for turn in turns if hostile in turn.versions]
    assert refused
    assert all("NaN or infinite" in turn.refused[hostile] and hostile not in turn.alpha for turn in refused)
    assert any(turn.alpha for turn in turns) == (domains == 3)  # with no sound peer a turn trains at home


def test_what_another_key_signed_fails_the_turn_of_the_forger_alone(tmp_path, monkeypatch):
    publish = SignedModels.publish
    stranger = SimulatedCity([HOSTILE], seed=99).identity(tmp_path / "stranger", HOSTILE)

    def forged(self, stream, model, content):
        identity = stranger if stream == HOSTILE else self.identity
        return publish(SignedModels(self.store, self.config, identity), stream, model, content)

    monkeypatch.setattr(SignedModels, "publish", forged)
    turns = run(tmp_path, monkeypatch, turns=2)
    assert {turn.domain for turn in turns if turn.error} == {HOSTILE}
    assert all("no valid signature" in turn.error or "sign" in turn.error for turn in turns if turn.error)
    assert not any(HOSTILE in turn.versions for turn in turns)


def test_trust_is_true_or_false():
    done = subprocess.run([sys.executable, str(APP), "trust=yes"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "trust = 'yes': give true or false" in done.stderr
