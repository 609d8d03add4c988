"""The committee at the target, on digits: what it labels, what the batches hold, and what the target gains."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from digits import Digits
from fedretina.strategies import Plan
from fedretina.strategies.peer_reuse.learner import Learner, Span, seeded_model
from fedretina.strategies.peer_reuse.teaching import EVERY, Teaching

PLAN = Plan(target="faint", sources=("upright", "upside-down"), batch_size=32, lr=0.01, device="cpu")
QUIET = lambda *_: None  # noqa: E731


@pytest.fixture(scope="module")
def peers():
    task, found = Digits(), {}
    for domain in PLAN.sources:
        splits = task.splits(domain)
        model = seeded_model(task, domain, 10, PLAN, "source")
        Learner(model, task, splits, PLAN, name=domain).train(Span(0, 20, 20), 300, QUIET)
        found[domain] = model.requires_grad_(False).eval()
    return found


def teaching(peers, task=None):
    task = task or Digits()
    alpha = dict.fromkeys(peers, 1.0)
    return Teaching(task, task.splits("faint"), peers, alpha=alpha, plan=PLAN)


def student(task=None):
    return seeded_model(task or Digits(), "faint", 10, PLAN, "target")


def accuracy(**parts):
    task = Digits()
    model = student()
    learner = Learner(model, task, task.splits("faint"), PLAN, name="faint", **parts)
    learner.train(Span(0, 16, 16), 300, QUIET)
    return task.evaluate(model.eval(), "faint")["accuracy"], learner


def test_the_target_learns_more_with_a_committee(peers):
    taught, learner = accuracy(teaching=teaching(peers))
    alone, _ = accuracy()
    assert taught > alone + 3
    assert learner.taught["share"] > 60
    assert learner.taught["new"] == 0


def test_it_labels_anew_every_few_epochs_and_never_before_the_first_is_over(peers):
    council, model = teaching(peers), student()
    asked = [council.refresh(model, epoch) is not None for epoch in range(2 * EVERY + 2)]
    assert asked == [epoch > 0 and (epoch - 1) % EVERY == 0 for epoch in range(2 * EVERY + 2)]
    late = teaching(peers)
    assert late.refresh(model, EVERY) is not None  # a new round begins without the last one's labels


def test_batches_are_of_labelled_samples_first_and_then_of_all_that_got_a_label(peers):
    council, splits = teaching(peers), Digits().splits("faint")
    generator = torch.Generator().manual_seed(0)
    known = {x.numpy().tobytes(): int(y) for x, y in zip(splits.inputs, splits.labels, strict=True)}
    inputs, labels = next(council.batches(32, generator))
    assert [known[x.numpy().tobytes()] for x in inputs] == labels.tolist()
    told = 0.01 * council.refresh(student(), 1)["share"] * len(splits.unlabelled)
    batches = council.batches(32, generator)
    drawn = [next(batches) for _ in range(20)]
    inputs, labels = torch.cat([batch[0] for batch in drawn]), torch.cat([batch[1] for batch in drawn]).tolist()
    given = [known[x.numpy().tobytes()] == y for x, y in zip(inputs, labels, strict=True) if x.numpy().tobytes() in known]
    assert all(given)
    assert len(given) / len(labels) == pytest.approx(len(known) / (len(known) + told), abs=0.1)
    truth = np.concatenate([splits.labels, Digits()._data("faint", test=False)[1][len(splits.labels) :]])
    everything = {x.numpy().tobytes(): int(y) for x, y in zip(splits.everything(), truth, strict=True)}
    right = [everything[x.numpy().tobytes()] == y for x, y in zip(inputs, labels, strict=True)]
    assert np.mean(right) > 0.7


def test_it_works_without_peers():
    council = teaching({})
    model = student()
    Learner(model, Digits(), Digits().splits("faint"), PLAN, name="faint").train(Span(0, 4, 4), 300, QUIET)
    assert council.refresh(model, 1)["share"] > 0


class Retrieval(Digits):
    """Digits as if unlabelled ones could show classes that no label names: those from 5 on have none."""

    kind = "retrieval"

    def splits(self, domain):
        splits = super().splits(domain)
        if domain != self.target:
            return splits
        few = splits.labels < 5
        return replace(splits, inputs=splits.inputs[few], labels=splits.labels[few])

    def loss(self, output, labels):
        known = labels < output.shape[1]
        return super().loss(output[known], labels[known]) if known.any() else 0 * output.sum()


def test_unknown_classes_are_learnt_from_a_memory(peers):
    task = Retrieval()
    council, model = teaching(peers, task), seeded_model(task, "faint", 5, PLAN, "target")
    assert council.loss(torch.zeros(2, 48), torch.tensor([0, 1])) is None
    learner = Learner(model, task, task.splits("faint"), PLAN, name="faint", teaching=council)
    learner.train(Span(0, 6, 6), 300, QUIET)
    assert learner.taught["new"] > 0
    contrast = council.loss(torch.randn(4, 48, requires_grad=True), torch.tensor([5, 6, 5, 6]))
    assert contrast.requires_grad


def test_equal_seeds_equal_students(peers):
    first, again = (accuracy(teaching=teaching(peers))[1].model.state_dict() for _ in range(2))
    assert all(torch.equal(value, again[name]) for name, value in first.items())
