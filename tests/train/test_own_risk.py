"""The target's own risk, on digits."""

from dataclasses import replace

import pytest
import torch

from fedretina.study.tasks import DigitDomains
from fedretina.task import Splits
from fedretina.train import Training, held_out_risk, own_risk
from fedretina.train.risks import SMALLEST_RISK

TRAINING = Training(rounds=1, local_epochs=24, batch_size=32, lr=0.01, device="cpu")


def task(labelled=0.3):
    return DigitDomains(targets=("faint",), labelled=labelled)


def risk(task, splits=None, **training):
    return held_out_risk(task, splits or task.splits("faint"), "faint", replace(TRAINING, **training))


def test_more_labels_lower_the_risk():
    few, many = risk(task(0.1)), risk(task(0.9))
    assert many < 0.2 < few < 0.8


def test_labels_that_say_nothing_have_the_risk_of_chance():
    splits = task(0.9).splits("faint")
    shuffled = splits.labels[torch.randperm(len(splits.labels), generator=torch.Generator().manual_seed(0))]
    assert risk(task(), Splits(splits.inputs, shuffled, splits.unlabelled)) == pytest.approx(0.9, abs=0.07)


def test_the_same_seed_gives_the_same_risk():
    assert risk(task()) == risk(task())
    assert len({risk(task(), seed=seed) for seed in range(4)}) > 1


class OwnHead(DigitDomains):
    head = "3"


class Retrieval(DigitDomains):
    kind = "retrieval"


@pytest.mark.parametrize("kind", [OwnHead, Retrieval])
def test_no_risk_that_cannot_be_compared(kind):
    assert risk(kind(targets=("faint",))) is None


def test_no_risk_of_fewer_than_ten_samples_that_can_be_held_out():
    splits = task().splits("faint")
    pairs = torch.cat([(splits.labels == digit).nonzero()[:2, 0] for digit in range(5)])
    assert risk(task(), Splits(splits.inputs[pairs], splits.labels[pairs])) is not None
    one_less = pairs[1:]  # the first digit has no second sample, so neither of them is held out
    assert risk(task(), Splits(splits.inputs[one_less], splits.labels[one_less])) is None


def test_the_risk_has_the_floor_of_r_m(monkeypatch):
    monkeypatch.setattr(own_risk, "_errors", lambda *_: 0)
    assert risk(task()) == SMALLEST_RISK


class MacroF1(DigitDomains):
    metric = "macro-f1"


def test_another_metric_than_the_accuracy_cannot_be_compared():
    assert risk(MacroF1(targets=("faint",))) is None
