"""Joint training: the sources average their bodies before a target starts from the average."""

from collections.abc import Callable, Mapping

from torch import nn

from fedretina.features import adapt_batchnorm
from fedretina.task import Splits, Task
from fedretina.train.bodies import Body, average_bodies, load_body, shared_body
from fedretina.train.learner import Learner, OnEpoch
from fedretina.train.schedule import EpochRange
from fedretina.train.start import clean_batches

OnRound = Callable[[Body, Mapping[str, Body], Body], None]
"""Called after a body round with the body that was sent, the bodies that came back, and their average."""


def body_span(number: int, rounds: int, epochs: int) -> EpochRange:
    """Choose the epochs of a body round: all rounds together are one training.

    Parameters
    ----------
    number : int
        The round, from 1.
    rounds : int
        Number of body rounds, at most `epochs`.
    epochs : int
        Epochs of all body rounds together.

    Examples
    --------
    >>> body_span(1, 3, 20), body_span(3, 3, 20)
    (EpochRange(first=0, last=7, total=20), EpochRange(first=13, last=20, total=20))
    """
    return EpochRange(round((number - 1) * epochs / rounds), round(number * epochs / rounds), epochs)


def load_at_target(model: nn.Module, body: Body, task: Task, splits: Splits) -> None:
    """Load a shared body into a target's model, and measure its BatchNorm statistics on the target's samples.

    The statistics before belonged to the target's own body. With them the new one would be measured, published and asked for
    pseudo-labels in a state that nobody trained.
    """
    load_body(model, body, task.head)
    device = next(model.parameters()).device
    adapt_batchnorm(model, [batch.to(device) for batch in clean_batches(task, splits)])


def train_from(
    learner: Learner, body: Body, span: EpochRange, *, samples: int, on_epoch: OnEpoch, target: Splits | None = None
) -> Body:
    """Train some epochs from a body, and return the new body. The head and the BatchNorm statistics stay the learner's own.

    Parameters
    ----------
    learner : Learner
        The domain's learner. Its optimizer keeps its state from the epochs before.
    body : mapping of str to Tensor
        See `shared_body`.
    span : EpochRange
        The epochs.
    samples : int
        Number of samples from which the steps of an epoch follow: the domain's own, or the target's in a source's turn.
    on_epoch : callable
        See `OnEpoch`.
    target : Splits, optional
        The target's data, if the learner is the target: its model votes, so it needs statistics of the new body.
    """
    if target is None:
        load_body(learner.model, body, learner.task.head)
    else:
        load_at_target(learner.model, body, learner.task, target)
    learner.train(span, samples, on_epoch)
    return shared_body(learner.model, learner.task.head)


def train_jointly(
    learners: Mapping[str, Learner],
    samples: Mapping[str, int],
    body: Body,
    *,
    rounds: int,
    epochs: int,
    on_epoch: OnEpoch,
    on_round: OnRound,
) -> Body:
    """Run all body rounds in one process. `fedretina.strategies.peer_reuse` runs them over messages.

    Parameters
    ----------
    learners : mapping of str to Learner
        By source.
    samples : mapping of str to int
        Number of labelled samples of each source.
    body : mapping of str to Tensor
        The first body: that of the largest source.
    rounds, epochs : int
        Number of body rounds, and the epochs of all rounds together.
    on_epoch, on_round : callable
        See `OnEpoch` and `OnRound`.
    """
    for number in range(1, rounds + 1):
        span = body_span(number, rounds, epochs)
        bodies = {
            name: train_from(learner, body, span, samples=samples[name], on_epoch=on_epoch)
            for name, learner in learners.items()
        }
        sent, body = body, average_bodies(bodies, samples)
        on_round(sent, bodies, body)
    return body
