"""Poisoned peers at a target: what is admitted, what is used instead, and what a run makes of it."""

import json

import numpy as np
import pytest
from digits_run import TARGET, client_app, run
from flwr.app import Array, ArrayRecord, RecordDict

from fedretina.errors import BadArgument, Corrupt
from fedretina.strategies import AdmissionLimits
from fedretina.strategies.peer_reuse.admission import Admission
from fedretina.testing import LocalGrid

RNG = np.random.default_rng(0)
FIRST = {"w": RNG.normal(size=(30, 20)).astype(np.float32), "b": np.zeros(30, np.float32), "count": np.array(3)}


def moved(model, part, seed=1):
    """Move the weights by a part of their norm."""
    noise = np.random.default_rng(seed).normal(size=model["w"].shape)
    step = noise * part * np.linalg.norm(model["w"]) / np.linalg.norm(noise)
    return {**model, "w": (model["w"] + step).astype(np.float32)}


ATTACKS = {
    "scaled": lambda model: {**model, "w": 10 * model["w"]},
    "random": lambda model: {**model, "w": RNG.normal(size=model["w"].shape).astype(np.float32)},
    "NaN": lambda model: {**model, "b": np.full(30, np.nan, np.float32)},
    "infinite": lambda model: {**model, "w": np.full((30, 20), np.inf, np.float32)},
    "sign-flipped": lambda model: {**model, "w": -model["w"]},
}


@pytest.fixture
def admission(tmp_path):
    return Admission(tmp_path, AdmissionLimits())


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_poisoned_version_is_replaced_by_the_one_before(admission, attack):
    admission.admit({"cuhk03": FIRST}, 1)
    used, refused = admission.admit({"cuhk03": ATTACKS[attack](FIRST), "duke": FIRST}, 2)
    assert refused.keys() == {"cuhk03"}
    assert all(np.array_equal(used["cuhk03"][name], value) for name, value in FIRST.items())
    assert used["cuhk03"]["count"].shape == ()
    assert used["duke"] is FIRST
    good = moved(FIRST, 0.1)
    assert admission.admit({"cuhk03": good}, 3) == ({"cuhk03": good}, {})


def test_a_peer_that_hardly_moved_may_not_jump(admission):
    version = FIRST
    for number in range(1, 5):
        version = moved(version, 0.1, seed=number)
        assert not admission.admit({"cuhk03": version}, number)[1]
    _, refused = admission.admit({"cuhk03": moved(version, 0.5)}, 5)
    assert refused["cuhk03"].startswith("it changed by 0.50 of its norm, allowed is 0.4")


def test_a_round_that_is_repeated_and_a_version_that_is_sent_again_are_no_history(admission):
    for number, part in ((1, 0), (2, 0.3), (2, 0.3001), (3, 0.3001)):
        admission.admit({"cuhk03": moved(FIRST, part) if part else FIRST}, number)
    assert admission.admit({"cuhk03": moved(moved(FIRST, 0.3001), 0.4, seed=2)}, 4)[1] == {}


def test_a_first_version_only_has_to_be_finite(admission):
    assert admission.admit({"cuhk03": ATTACKS["scaled"](FIRST)}, 1)[1] == {}
    used, refused = admission.admit({"duke": FIRST, "msmt17": ATTACKS["NaN"](FIRST)}, 1)
    assert used.keys() == {"duke"}
    assert refused == {"msmt17": "it has NaN or infinite values in b"}
    with pytest.raises(BadArgument, match="no peer's model is admitted: msmt17: it has NaN or infinite values in b; mend"):
        admission.admit({"msmt17": ATTACKS["NaN"](FIRST)}, 1)


def test_limits_and_files_are_checked(admission, tmp_path):
    with pytest.raises(BadArgument, match="give positive numbers"):
        AdmissionLimits(change=0)
    admission.admit({"cuhk03": FIRST}, 1)
    (tmp_path / "admitted" / "cuhk03.safetensors").write_bytes(json.dumps({}).encode())
    with pytest.raises(Corrupt, match="cannot be read"):
        admission.admit({"cuhk03": FIRST}, 2)


class Poisoned(LocalGrid):
    """The source "left" publishes poisoned versions from a round on."""

    def __init__(self, folder, first):
        super().__init__(client_app(folder), 3)
        self.first = first

    def answer(self, message, number):
        reply = super().answer(message, number)
        if reply.has_content() and "left" in reply.content.array_records and int(message.metadata.group_id) >= self.first:
            arrays = {key: array.numpy() for key, array in reply.content.array_records["left"].items()}
            bad = {key: Array(np.full_like(a, np.nan) if a.dtype.kind == "f" else a) for key, a in arrays.items()}
            reply.content = RecordDict({**dict(reply.content.items()), "left": ArrayRecord(bad)})
        return reply


@pytest.mark.parametrize("first", [1, 2])
def test_one_bad_peer_ends_no_run(tmp_path, caplog, first):
    short = {"rounds": 2, "home_epochs": 1, "local_epochs": 2, "baselines": False, "config": None}
    result, _ = run(tmp_path, **short, grid=Poisoned(tmp_path, first))
    rounds = result.targets[TARGET].rounds
    used = {"upright"} if first == 1 else {"upright", "left"}
    assert [set(entry.alpha) for entry in rounds] == [used, used]
    assert f"round 2: {TARGET} refused the version of left: it has NaN or infinite values in" in caplog.text
