"""Pseudo-labels on digits: their number, the batches of them, and what the target gains."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from digits import Digits
from fedretina.reuse import CommitteeOptions
from fedretina.train import (
    ClassMemoryTerm,
    DomainBatches,
    EpochRange,
    ForwardPass,
    Learner,
    PseudoLabelBatches,
    PseudoLabels,
    SupervisedLoss,
    Training,
    seeded_model,
)
from fedretina.train.pseudo_labels import REFRESH_EVERY

SOURCES = ("upright", "upside-down")
TRAINING = Training(batch_size=32, lr=0.01, device="cpu")
QUIET = lambda *_: None  # noqa: E731


def supervised(model, task, splits, name):
    return Learner(model, task, TRAINING, name=name, batches=DomainBatches(task, splits, 32))


def learner_with(labels, model, task):
    terms = [SupervisedLoss(task), ClassMemoryTerm(labels)]
    return Learner(model, task, TRAINING, name="faint", batches=PseudoLabelBatches(labels, 32), terms=terms)


@pytest.fixture(scope="module")
def peers():
    task, found = Digits(), {}
    for domain in SOURCES:
        splits = task.splits(domain)
        model = seeded_model(task, domain, 10, TRAINING, "source")
        supervised(model, task, splits, domain).train(EpochRange(0, 20, 20), 300, QUIET)
        found[domain] = model.requires_grad_(False).eval()
    return found


def pseudo_labels(peers, task=None, options=None):
    task = task or Digits()
    alpha = dict.fromkeys(peers, 1.0)
    return PseudoLabels(task, task.splits("faint"), peers, alpha=alpha, training=TRAINING, options=options)


def student(task=None):
    return seeded_model(task or Digits(), "faint", 10, TRAINING, "target")


def accuracy(labels=None):
    task, model = Digits(), student()
    learner = learner_with(labels, model, task) if labels else supervised(model, task, task.splits("faint"), "faint")
    learner.train(EpochRange(0, 16, 16), 300, QUIET)
    return task.evaluate(model.eval(), "faint")["accuracy"], learner


def test_the_target_learns_more_with_a_committee(peers):
    labels = pseudo_labels(peers)
    together, _ = accuracy(labels)
    alone, _ = accuracy()
    assert together > alone + 3
    assert labels.metrics["share"] > 60
    assert labels.metrics["new"] == 0


def test_it_labels_anew_every_few_epochs_and_never_before_the_first_is_over(peers):
    labels, model = pseudo_labels(peers), student()
    asked = [labels.refresh(model, epoch) for epoch in range(2 * REFRESH_EVERY + 2)]
    assert asked == [epoch > 0 and (epoch - 1) % REFRESH_EVERY == 0 for epoch in range(2 * REFRESH_EVERY + 2)]
    late = pseudo_labels(peers)
    assert late.refresh(model, REFRESH_EVERY)  # a new round begins without the last one's labels


def test_batches_are_of_labelled_samples_first_and_then_of_all_that_got_a_label(peers):
    pseudo, splits = pseudo_labels(peers), Digits().splits("faint")
    source = PseudoLabelBatches(pseudo, 32)
    generator = torch.Generator().manual_seed(0)
    known = {x.numpy().tobytes(): int(y) for x, y in zip(splits.inputs, splits.labels, strict=True)}
    inputs, labels = next(source.draw(generator))
    assert [known[x.numpy().tobytes()] for x in inputs] == labels.tolist()
    source.start_epoch(student(), 1)
    voted = 0.01 * pseudo.metrics["share"] * len(splits.unlabelled)
    batches = source.draw(generator)
    drawn = [next(batches) for _ in range(20)]
    inputs, labels = torch.cat([batch[0] for batch in drawn]), torch.cat([batch[1] for batch in drawn]).tolist()
    given = [known[x.numpy().tobytes()] == y for x, y in zip(inputs, labels, strict=True) if x.numpy().tobytes() in known]
    assert all(given)
    assert len(given) / len(labels) == pytest.approx(len(known) / (len(known) + voted), abs=0.1)
    truth = np.concatenate([splits.labels, Digits()._data("faint", test=False)[1][len(splits.labels) :]])
    everything = {x.numpy().tobytes(): int(y) for x, y in zip(splits.everything(), truth, strict=True)}
    right = [everything[x.numpy().tobytes()] == y for x, y in zip(inputs, labels, strict=True)]
    assert np.mean(right) > 0.7


def test_it_works_without_peers():
    labels = pseudo_labels({})
    model = student()
    supervised(model, Digits(), Digits().splits("faint"), "faint").train(EpochRange(0, 4, 4), 300, QUIET)
    assert labels.refresh(model, 1)
    assert labels.metrics["share"] > 0


class Retrieval(Digits):
    """Digits as if unlabelled ones could show classes that no label names: those from 5 on have none."""

    kind = "retrieval"

    def splits(self, domain):
        splits = super().splits(domain)
        if domain not in self.targets:
            return splits
        few = splits.labels < 5
        return replace(splits, inputs=splits.inputs[few], labels=splits.labels[few])

    def loss(self, output, labels):
        known = labels < output.shape[1]
        return super().loss(output[known], labels[known]) if known.any() else 0 * output.sum()


def contrast_of(labels, embeddings, classes):
    term = ClassMemoryTerm(labels)
    return term.loss(ForwardPass(embeddings, classes, None, {term.layers[0]: embeddings}, 0.0))


def test_unknown_classes_are_learnt_from_a_memory(peers):
    task = Retrieval()
    labels = pseudo_labels(peers, task, CommitteeOptions(new_classes_below=0.2))
    model = seeded_model(task, "faint", 5, TRAINING, "target")
    assert contrast_of(labels, torch.zeros(2, 48), torch.tensor([0, 1])) is None
    learner_with(labels, model, task).train(EpochRange(0, 6, 6), 300, QUIET)
    assert labels.metrics["new"] > 0
    contrast = contrast_of(labels, torch.randn(4, 48, requires_grad=True), torch.tensor([5, 6, 5, 6]))
    assert contrast.requires_grad


def test_equal_seeds_equal_students(peers):
    first, again = (accuracy(pseudo_labels(peers))[1].model.state_dict() for _ in range(2))
    assert all(torch.equal(value, again[name]) for name, value in first.items())
