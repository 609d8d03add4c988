"""Federated averaging with codecs in both directions."""

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from fedretina.errors import BadArgument
from fedretina.study.bandwidth import Plan, federate
from fedretina.study.bandwidth.federation import Channel, Clock, OuterStep
from fedretina.study.codecs import create
from fedretina.study.tasks import FederatedTask


@dataclass(frozen=True)
class Points(FederatedTask):
    """Each client pulls the model a tenth of the way to a point of its own; the score is the distance from their mean."""

    clients: int = 3
    size: int = 40
    metric = "distance"
    lower_is_better = True

    def point(self, client):
        return np.random.default_rng(client).normal(size=self.size).astype(np.float32)

    def first_model(self, seed):
        return {"w": np.random.default_rng(100 + seed).normal(size=self.size).astype(np.float32)}

    def train(self, model, client, *, steps, seed):
        w = model["w"]
        for _ in range(steps):
            w = w + np.float32(0.1) * (self.point(client) - w)
        return {"w": w}

    def measure(self, model):
        mean = np.mean([self.point(client) for client in range(self.clients)], axis=0)
        return float(np.linalg.norm(model["w"] - mean))


PLAN = Plan(rounds=25, local_steps=2, clients=3)


def test_without_a_codec_it_is_federated_averaging():
    task, model = Points(), Points().first_model(0)
    rows = list(federate(task, create("none"), PLAN))
    assert rows[0].score == pytest.approx(task.measure(model))
    for row in rows[1:]:
        model = {"w": np.mean([task.train(model, client, steps=2, seed=0)["w"] for client in range(3)], axis=0)}
        assert row.score == pytest.approx(task.measure(model), abs=1e-4)
    assert {(row.bytes_up, row.bytes_down) for row in rows[1:]} == {(3 * 40 * 4, 3 * 40 * 4)}
    assert (rows[0].round, rows[0].bytes_up, rows[0].bytes_down) == (0, 0, 0)


@pytest.mark.parametrize("name", ["topk", "stc", "sign", "ef21", "sparseloco", "qsgd"])
def test_feedback_both_ways_still_reaches_the_goal(name):
    """A tenth of the values a message; without feedback the others would never arrive."""
    settings = {"topk": {"share": 0.1}, "stc": {"share": 0.1}, "ef21": {"share": 0.2}, "sign": {"decay": 1.0}}
    settings |= {"sparseloco": {"k": 800, "decay": 1.0}, "qsgd": {"bits": 6}}
    rows = list(federate(Points(), create(name, **settings[name]), Plan(rounds=60, local_steps=1, clients=3)))
    assert rows[-1].score < 0.35 * rows[0].score
    assert rows[1].bytes_up + rows[1].bytes_down < 2 * 3 * 40 * 4


def test_equal_seeds_give_equal_bytes_and_scores():
    first, again, other = (
        [(row.bytes_up, row.bytes_down, row.score) for row in federate(Points(), create("qsgd"), PLAN, seed=seed)]
        for seed in (1, 1, 2)
    )
    assert first == again != other


def test_the_server_sends_its_own_residual_again():
    """What a channel's receiver got, plus the sender's residual, is the sum of what was meant."""
    channel = Channel.of(create("topk", share=0.1), {"w": np.zeros(30, np.float32)}, seed=0)
    updates = [np.random.default_rng(number).normal(size=30).astype(np.float32) for number in range(9)]
    arrived = [channel.send({"w": update}, encoding=Clock(), decoding=Clock())["w"] for update in updates]
    assert np.allclose(sum(arrived) + channel.sender.residual["w"], sum(updates), atol=1e-5)
    assert channel.sent > 0


@dataclass(frozen=True)
class Explosive(Points):
    """Client 0 returns infinity in some round; or the score is none."""

    bad_update: int = 100
    bad_score: int = 100
    rounds: list[int] = field(default_factory=list)

    def train(self, model, client, *, steps, seed):
        self.rounds.append(client)
        new = super().train(model, client, steps=steps, seed=seed)
        return {"w": new["w"] * np.inf} if self.rounds.count(0) == self.bad_update else new

    def measure(self, model):
        return np.nan if self.rounds.count(0) == self.bad_score else super().measure(model)


@pytest.mark.parametrize("bad", ["bad_update", "bad_score"])
def test_a_training_that_diverges_keeps_the_first_models_score_and_goes_on_costing(bad):
    rows = list(federate(task := Explosive(**{bad: 3}), create("none"), Plan(rounds=6, local_steps=1, clients=3)))
    assert [row.score == rows[0].score for row in rows] == [True, False, False, True, True, True, True]
    assert {(row.bytes_up, row.bytes_down) for row in rows[1:]} == {(3 * 40 * 4, 3 * 40 * 4)}
    assert task.rounds.count(0) == 3


def test_the_way_down_may_have_settings_of_its_own():
    rows = list(federate(Points(), create("topk", share=0.1, down_share=0.5), Plan(rounds=2, clients=3)))
    assert all(3 * row.bytes_up < row.bytes_down for row in rows[1:])


def test_nesterov_is_dilocos():
    """v <- .9 v + d, step = .7 (d + .9 v), as torch's SGD has it (with the sign of an update)."""
    weight = torch.nn.Parameter(torch.zeros(3))
    optimiser = torch.optim.SGD([weight], lr=0.7, momentum=0.9, nesterov=True)
    outer, w = OuterStep("nesterov"), np.zeros(3, np.float32)
    for number in range(5):
        update = np.random.default_rng(number).normal(size=3).astype(np.float32)
        weight.grad = -torch.from_numpy(update)
        optimiser.step()
        w = w + outer.step({"w": update})["w"]
        assert np.allclose(w, weight.detach().numpy(), atol=1e-5)


def test_wrong_plans_are_named():
    for wrong in ({"rounds": 0}, {"local_steps": 0}, {"clients": 0}, {"outer": "adam"}):
        with pytest.raises(BadArgument, match=f"{next(iter(wrong))} = "):
            Plan(**wrong)
    with pytest.raises(BadArgument, match="clients = 2: the task has 3"):
        list(federate(Points(), create("none"), Plan(clients=2)))
