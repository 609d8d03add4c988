import torch

from fedretina.features.statistics import MOMENTUM, RunningStatistics, running_mean


def feed(running: RunningStatistics, value: float) -> None:
    running.update(running.next_variance(torch.full((1, 1), value)), torch.tensor([value]))


def test_the_first_ten_batches_are_averaged_alike() -> None:
    running = RunningStatistics(1, 1)
    values = torch.arange(10.0)
    for value in values:
        feed(running, float(value))
    torch.testing.assert_close(running.variance.squeeze(), values.mean())
    torch.testing.assert_close(running.residual.squeeze(), values.mean())


def test_later_batches_count_by_the_momentum() -> None:
    running = RunningStatistics(1, 1)
    for _ in range(50):
        feed(running, 0.0)
    feed(running, 1.0)
    torch.testing.assert_close(running.variance.squeeze(), torch.tensor(MOMENTUM))


def test_eval_mode_remembers_nothing_and_uses_what_there_is() -> None:
    running = RunningStatistics(1, 1).eval()
    assert running.next_variance(torch.ones(1, 1)).item() == 1
    feed(running, 3.0)
    assert not running.batches
    feed(running.train(), 4.0)
    assert running.eval().next_variance(torch.ones(1, 1)).item() == 4


def test_a_mean_of_numbers_is_that_of_batches() -> None:
    values = [0.5, 0.1, 0.9, *(0.01 * i for i in range(20))]
    running = RunningStatistics(1, 1)
    for value in values:
        running.update(running.variance, torch.tensor([[value]]))
    assert running_mean(values) == running.residual.item()
