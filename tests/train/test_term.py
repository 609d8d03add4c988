import pytest
import torch

from fedretina.task import Task
from fedretina.train import ForwardPass, SupervisedLoss


class Recorder(Task):
    """Keeps the output that its loss got."""

    def loss(self, output, labels):
        self.output = output
        return torch.zeros(())


def output_of(output, labelled):
    """Compute the supervised loss of a batch of four samples, and return what the task got."""
    task = Recorder()
    forward = ForwardPass(torch.zeros(4, 2), torch.zeros(labelled, dtype=torch.int64), output, {}, 0.0)
    SupervisedLoss(task).loss(forward)
    return task.output


@pytest.mark.parametrize("labelled", [2, 4])
def test_tensors_are_cut_so_that_equal_seeds_give_equal_bits(labelled):
    """Without the cut, torch adds the gradients of several terms in another order."""
    found = output_of(torch.zeros(4, 3, requires_grad=True), labelled)
    assert found.shape == (labelled, 3)
    assert found.grad_fn.name().startswith("Slice")


def test_other_outputs_are_allowed_if_all_samples_are_labelled():
    output = {"logits": torch.zeros(4, 3)}
    assert output_of(output, 4) is output
    with pytest.raises(TypeError, match="a tensor or a tuple of tensors, not dict"):
        output_of(output, 2)
