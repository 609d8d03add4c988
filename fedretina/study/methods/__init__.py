"""The methods: how a target with few labels can use its peers' models. All train for the same number of steps.

A method is a function of a `Student` that returns the trained model. The last state of the model is tested; no state is
chosen by its test result. The best source is the one with the highest score on the target's labelled samples.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from torch import nn

from fedretina.reuse import CommitteeOptions, Form
from fedretina.study.methods.baselines import all_labels, alone, direct, finetune
from fedretina.study.methods.committee import committee
from fedretina.study.methods.consistency import modal_consistency
from fedretina.study.methods.distillation import distill
from fedretina.study.methods.experts import bag_of_experts
from fedretina.study.methods.federated import batchnorm_layers, federated, last_layers
from fedretina.study.methods.fixed_reuse import fixed_model_reuse
from fedretina.study.methods.joint import joint, soup
from fedretina.study.methods.mutual import mutual
from fedretina.study.methods.reuse import reuse
from fedretina.study.student import Student


@dataclass(frozen=True)
class Method:
    """A method: its label in tables, and the function that trains the target."""

    label: str
    train: Callable[[Student], nn.Module]


NEW = CommitteeOptions(new_classes_below=0.2)
METHODS: Mapping[str, Method] = {
    "alone": Method("target alone", alone),
    "direct": Method("best source, not trained", direct),
    "finetune": Method("best source, fine-tuned", finetune),
    "all-labels": Method("target, all labels", all_labels),
    "mutual": Method("mutual learning", mutual),
    "reuse": Method("Eq. 1, from scratch", reuse),
    "reuse-uniform": Method("Eq. 1, from scratch, alpha uniform", partial(reuse, alpha="uniform")),
    "reuse-nonlinear": Method("Eq. 1, from scratch, V non-linear", partial(reuse, form=Form(hidden=64))),
    "reuse-start": Method("Eq. 1, from the best source", partial(reuse, start="best-peer")),
    "self": Method("self-training, from scratch", partial(committee, voters="none", start="scratch")),
    "self-start": Method("self-training, from the best source", partial(committee, voters="none")),
    "committee-best": Method("committee: best source, own", partial(committee, voters="best")),
    "committee-two": Method("committee: two best sources, own", partial(committee, voters="two")),
    "committee": Method("committee: all sources, own", committee),
    "committee-scratch": Method("committee: all sources, own, from scratch", partial(committee, start="scratch")),
    "committee-reuse": Method("committee: all sources, own, and Eq. 1", partial(committee, with_reuse=True)),
    "committee-plain": Method(
        "committee: all, own, not whitened", partial(committee, options=CommitteeOptions(whitening=0))
    ),
    "committee-ungrouped": Method("committee: all, own, without cameras", partial(committee, grouped=False)),
    "committee-new": Method("committee: all, own, new identities below 20 % labels", partial(committee, options=NEW)),
    "committee-open": Method(
        "committee: all, own, new identities always", partial(committee, options=CommitteeOptions(new_classes_below=1))
    ),
    "committee-damping": Method(
        "committee: all, own, damping 0.9", partial(committee, options=CommitteeOptions(damping=0.9))
    ),
    "joint-body": Method("A: joint body", joint),
    "joint-turns": Method("B: joint body, co-training in turn", partial(joint, co_training="turns")),
    "joint-turns-equal": Method("B, equal turns", partial(joint, co_training="turns", by="equal")),
    "joint-turns-risk": Method("B, turns by 1/R_m", partial(joint, co_training="turns", by="risk")),
    "joint-turns-new": Method("B, new identities below 20 % labels", partial(joint, co_training="turns", options=NEW)),
    "joint-one": Method("joint body, co-training with the best source", partial(joint, co_training="one")),
    "joint-all": Method("joint body, co-training with all sources at once", partial(joint, co_training="all")),
    "turns": Method("co-training in turn, no joint body", partial(joint, with_body=False, co_training="turns")),
    "one": Method("C: co-training with the best source", partial(joint, with_body=False, co_training="one")),
    "soup": Method("soup of students, one from each source", soup),
    "fmr": Method("fixed model reuse, from scratch", fixed_model_reuse),
    "fmr-start": Method("fixed model reuse, from the best source", partial(fixed_model_reuse, start="best-peer")),
    "consistency": Method("modal consistency *", modal_consistency),
    "experts": Method("bag of experts *", bag_of_experts),
    "distillation": Method("output distillation", distill),
    "fedavg": Method("FedAvg", federated),
    "fedavg-tuned": Method("FedAvg, then fine-tuned", partial(federated, fine_tuning=0.5)),
    "fedprox": Method("FedProx", partial(federated, mu=0.01)),
    "fedper": Method("FedPer", partial(federated, local_layers=last_layers)),
    "fedbn": Method("FedBN", partial(federated, local_layers=batchnorm_layers)),
    "fedavg-equal": Method("FedAvg, then fine-tuned, equal budget", partial(federated, equal_budget=True)),
    "fedprox-equal": Method("FedProx, then fine-tuned, equal budget", partial(federated, equal_budget=True, mu=0.01)),
    "fedbn-equal": Method(
        "FedBN, then fine-tuned, equal budget", partial(federated, equal_budget=True, local_layers=batchnorm_layers)
    ),
}
"""The methods by name. A label that ends in * marks a method that needs the sources at test time."""
