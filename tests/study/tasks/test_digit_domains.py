"""Digits as domains."""

import pytest
import torch

from fedretina.study.tasks import DigitDomains
from fedretina.study.tasks.digit_domains import QUARTER_TURNS, SAMPLES


@pytest.mark.parametrize(("labelled", "count"), [(0.3, 54), (0.1, 18), (0.01, 10)])
def test_a_part_of_the_target_is_labelled_and_each_class_has_a_label(labelled, count):
    task = DigitDomains(targets=("faint",), labelled=labelled)
    splits = task.splits("faint")
    assert (len(splits.labels), len(splits.unlabelled)) == (count, SAMPLES - count)
    assert splits.classes == len(splits.labels.unique()) == 10
    assert len(task.splits("upright").labels) == SAMPLES


def test_the_seed_draws_the_data():
    one, again, other = (DigitDomains(targets=("faint",), seed=seed).splits("left").inputs for seed in (0, 0, 1))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_domains_share_no_sample():
    task = DigitDomains(targets=())
    domains = [name for name, turns in QUARTER_TURNS.items() if name not in ("faint", "noisy", "shifted")]
    upright = [torch.rot90(task.splits(name).inputs.view(-1, 8, 8), -QUARTER_TURNS[name], (1, 2)) for name in domains]
    images = torch.cat(upright).reshape(-1, 64)
    assert len(images.unique(dim=0)) == len(images) == SAMPLES * len(domains)


def test_domains_differ_as_they_say():
    task = DigitDomains(targets=())
    assert task.splits("faint").inputs.max() == pytest.approx(0.6)
    assert task.splits("noisy").inputs.min() < 0
    assert task.splits("upright").inputs.max() == 1
