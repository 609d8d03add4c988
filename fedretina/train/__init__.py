"""One model in training on one domain: the learner, its batches and loss terms, pseudo-labels, checkpoints, peers.

A `Learner` trains a model on a `fedretina.task.Task` with the settings of a `Training`. `Batches` choose the samples, and
each `Term` adds a part of the loss. Strategies and studies differ only in these two:

>>> import torch
>>> from torch import nn
>>> from fedretina.task import Splits, Task
>>> from fedretina.train import DomainBatches, EpochRange, Learner, Training
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
>>> learner.train(EpochRange(0, 5, 5), 64, lambda epoch, total, loss, speed: losses.append(loss))
>>> losses[-1] < losses[0]
True
"""

from fedretina.train.batches import Batch, Batches, DomainBatches
from fedretina.train.bodies import Body, average_bodies, average_states, load_body, mix_bodies, shared_body
from fedretina.train.checkpoints import Checkpoints
from fedretina.train.compute import class_scores, forward_function, training_device
from fedretina.train.joint import OnRound, body_span, load_at_target, train_from, train_jointly
from fedretina.train.learner import Learner, OnEpoch
from fedretina.train.own_risk import held_out_risk
from fedretina.train.peers import (
    Peers,
    SourceWeights,
    adapt_peers,
    check_finite,
    load_arrays,
    model_arrays,
    tensor_arrays,
    tensor_of,
)
from fedretina.train.pseudo_labels import ClassMemoryTerm, PseudoLabelBatches, PseudoLabels
from fedretina.train.rehearsal import CHECKPOINT_FACTOR, check_disk_space, model_bytes, rehearse
from fedretina.train.reuse_term import ReuseTerm, warm_up_inputs
from fedretina.train.risks import source_risks
from fedretina.train.schedule import EpochRange, steps_per_epoch
from fedretina.train.seeds import seeded, seeded_model
from fedretina.train.start import clean_batches, start_from, start_from_average
from fedretina.train.term import ForwardPass, SupervisedLoss, Term
from fedretina.train.training import Training
from fedretina.train.turn_sources import (
    OWN_LIMIT,
    RISK_LIMIT,
    CoTraining,
    TurnRules,
    TurnsBy,
    TurnSources,
    choose_sources,
)
from fedretina.train.turns import Segment, make_schedule, segment_spans

__all__ = [
    "CHECKPOINT_FACTOR",
    "OWN_LIMIT",
    "RISK_LIMIT",
    "Batch",
    "Batches",
    "Body",
    "Checkpoints",
    "ClassMemoryTerm",
    "CoTraining",
    "DomainBatches",
    "EpochRange",
    "ForwardPass",
    "Learner",
    "OnEpoch",
    "OnRound",
    "Peers",
    "PseudoLabelBatches",
    "PseudoLabels",
    "ReuseTerm",
    "Segment",
    "SourceWeights",
    "SupervisedLoss",
    "Term",
    "Training",
    "TurnRules",
    "TurnSources",
    "TurnsBy",
    "adapt_peers",
    "average_bodies",
    "average_states",
    "body_span",
    "check_disk_space",
    "check_finite",
    "choose_sources",
    "class_scores",
    "clean_batches",
    "forward_function",
    "held_out_risk",
    "load_arrays",
    "load_at_target",
    "load_body",
    "make_schedule",
    "mix_bodies",
    "model_arrays",
    "model_bytes",
    "rehearse",
    "seeded",
    "seeded_model",
    "segment_spans",
    "shared_body",
    "source_risks",
    "start_from",
    "start_from_average",
    "steps_per_epoch",
    "tensor_arrays",
    "tensor_of",
    "train_from",
    "train_jointly",
    "training_device",
    "warm_up_inputs",
]
