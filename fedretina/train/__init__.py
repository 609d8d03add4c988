"""One model in training on one domain: the learner, its batches and terms, pseudo-labels, checkpoints, peers as models.

A `Learner` takes a model, a `fedretina.task.Task` and `Training`, the settings. `Batches` say which samples it sees, each
`Term` adds a part of the loss. What a strategy or a study builds on it differs in these two only:

>>> import torch
>>> from torch import nn
>>> from fedretina.task import Splits, Task
>>> from fedretina.train import DomainBatches, Learner, Span, Training
>>> class Signs(Task):
...     metric, layers = "accuracy", ("0",)
...     def loss(self, output, labels):
...         return nn.functional.cross_entropy(output, labels)
>>> task, training = Signs(), Training(batch_size=8, lr=0.05, device="cpu", precision="float32")
>>> generator = torch.manual_seed(0)
>>> inputs = torch.randn(64, 4)
>>> splits = Splits(inputs, (inputs[:, 0] > 0).long())
>>> losses = []
>>> learner = Learner(nn.Linear(4, 2), task, training, name="signs", batches=DomainBatches(task, splits, 8))
>>> learner.train(Span(0, 5, 5), 64, lambda epoch, total, loss, speed: losses.append(loss))
>>> losses[-1] < losses[0]
True
"""

from fedretina.train.batches import Batch, Batches, DomainBatches
from fedretina.train.checkpoints import Checkpoints
from fedretina.train.checks import check_domain_name, check_domains, check_number, check_one_of
from fedretina.train.compute import device, runner
from fedretina.train.learner import Learner, OnEpoch
from fedretina.train.peers import Peers, Weights, adapt_peers, arrays_of, check_finite
from fedretina.train.pseudo_labels import ClassMemoryTerm, PseudoLabelBatches, PseudoLabels
from fedretina.train.rehearsal import STATES, bytes_of, check_space, rehearse
from fedretina.train.reuse_term import ReuseTerm, warm_up_inputs
from fedretina.train.risks import risks_over
from fedretina.train.schedule import Span, steps_per_epoch
from fedretina.train.seeds import seeded, seeded_model
from fedretina.train.start import start_from, start_from_average
from fedretina.train.term import ForwardPass, SupervisedLoss, Term
from fedretina.train.training import Training

__all__ = [
    "STATES",
    "Batch",
    "Batches",
    "Checkpoints",
    "ClassMemoryTerm",
    "DomainBatches",
    "ForwardPass",
    "Learner",
    "OnEpoch",
    "Peers",
    "PseudoLabelBatches",
    "PseudoLabels",
    "ReuseTerm",
    "Span",
    "SupervisedLoss",
    "Term",
    "Training",
    "Weights",
    "adapt_peers",
    "arrays_of",
    "bytes_of",
    "check_domain_name",
    "check_domains",
    "check_finite",
    "check_number",
    "check_one_of",
    "check_space",
    "device",
    "rehearse",
    "risks_over",
    "runner",
    "seeded",
    "seeded_model",
    "start_from",
    "start_from_average",
    "steps_per_epoch",
    "warm_up_inputs",
]
