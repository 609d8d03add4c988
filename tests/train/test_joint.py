import pytest
import torch

from digits import Digits
from fedretina.features import adapt_batchnorm
from fedretina.train import (
    DomainBatches,
    EpochRange,
    Learner,
    Training,
    body_span,
    clean_batches,
    load_at_target,
    seeded_model,
    shared_body,
    train_from,
    train_jointly,
)

TRAINING = Training(batch_size=32, lr=0.01, device="cpu", precision="float32")


def learner(domain):
    task = Digits()
    splits = task.splits(domain)
    model = seeded_model(task, domain, splits.classes, TRAINING, "source")
    return Learner(model, task, TRAINING, name=domain, batches=DomainBatches(task, splits, 32))


def silent(*_):
    pass


@pytest.mark.parametrize(("rounds", "epochs"), [(1, 20), (3, 20), (20, 20), (7, 9)])
def test_body_rounds_share_the_epochs(rounds, epochs):
    spans = [body_span(number, rounds, epochs) for number in range(1, rounds + 1)]
    assert [epoch for span in spans for epoch in range(span.first, span.last)] == list(range(epochs))
    assert all(span.last > span.first for span in spans)


def test_training_starts_from_the_body():
    one, other = learner("upright"), learner("left")
    body = shared_body(other.model, "")
    trained = train_from(one, body, EpochRange(0, 0, 1), samples=300, on_epoch=silent)
    assert all(torch.equal(trained[name], value) for name, value in body.items())
    trained = train_from(one, body, EpochRange(0, 1, 1), samples=300, on_epoch=silent)
    assert any(not torch.equal(trained[name], value) for name, value in body.items())


def test_joint_rounds_end_in_one_body_that_fits_both_domains():
    task, seen = Digits(), []
    learners = {name: learner(name) for name in ("upright", "left")}
    body = train_jointly(
        learners, {"upright": 300, "left": 300}, shared_body(learners["left"].model, ""), rounds=3, epochs=12,
        on_epoch=silent, on_round=lambda *bodies: seen.append(bodies),
    )  # fmt: skip
    assert len(seen) == 3
    assert seen[-1][2] is body
    for name, one in learners.items():
        train_from(one, body, EpochRange(0, 0, 1), samples=300, on_epoch=silent)
        assert task.evaluate(one.model.eval(), name)["accuracy"] > 60


def test_a_body_at_the_target_gets_statistics_of_its_samples():
    one, other = learner("upright"), learner("left")
    other.train(EpochRange(0, 1, 1), 300, silent)
    splits, body = Digits().splits("upright"), shared_body(other.model, "")
    load_at_target(one.model, body, one.task, splits)
    found = {name: value.clone() for name, value in one.model.state_dict().items() if "running" in name}
    adapt_batchnorm(one.model, clean_batches(Digits(), splits))
    assert found
    for name, value in found.items():
        torch.testing.assert_close(one.model.state_dict()[name], value)
    assert all(torch.equal(one.model.state_dict()[name], value) for name, value in body.items())
