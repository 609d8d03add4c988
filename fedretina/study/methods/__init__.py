"""What a target can do with few labels and its peers' models: a file a method, all with one budget of steps.

Every method is a function of a `Student` that returns the trained model, whose last state is tested: none is chosen by its
test result. Which source is best is judged on the target's labelled samples.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from torch import nn

from fedretina.reuse import CommitteeOptions, Form
from fedretina.study.methods.committee import committee
from fedretina.study.methods.consistency import modal_consistency
from fedretina.study.methods.distillation import distilled
from fedretina.study.methods.experts import bag_of_experts
from fedretina.study.methods.federated import federated, last_layers, norms
from fedretina.study.methods.fixed_reuse import fixed_model_reuse
from fedretina.study.methods.mutual import mutual
from fedretina.study.methods.plain import alone, direct, finetune, oracle
from fedretina.study.methods.regularised import regularised
from fedretina.study.student import Student


@dataclass(frozen=True)
class Method:
    """A way to train the target, and what tables call it."""

    label: str
    train: Callable[[Student], nn.Module]


METHODS: Mapping[str, Method] = {
    "alone": Method("target alone", alone),
    "direct": Method("best source, not trained", direct),
    "finetune": Method("best source, fine-tuned", finetune),
    "oracle": Method("target, all labels", oracle),
    "mutual": Method("mutual learning", mutual),
    "reuse": Method("Eq. 1, from scratch", regularised),
    "reuse-uniform": Method("Eq. 1, from scratch, alpha uniform", partial(regularised, alpha="uniform")),
    "reuse-nonlinear": Method("Eq. 1, from scratch, V non-linear", partial(regularised, form=Form(hidden=64))),
    "reuse-start": Method("Eq. 1, from the best source", partial(regularised, start="best-peer")),
    "self": Method("self-training, from scratch", partial(committee, voters="none", start="scratch")),
    "self-start": Method("self-training, from the best source", partial(committee, voters="none")),
    "committee-best": Method("committee: best source, own", partial(committee, voters="best")),
    "committee-two": Method("committee: two best sources, own", partial(committee, voters="two")),
    "committee": Method("committee: all sources, own", committee),
    "committee-scratch": Method("committee: all sources, own, from scratch", partial(committee, start="scratch")),
    "committee-reuse": Method("committee: all sources, own, and Eq. 1", partial(committee, regularise=True)),
    "committee-plain": Method(
        "committee: all, own, not whitened", partial(committee, options=CommitteeOptions(whitening=0))
    ),
    "committee-ungrouped": Method("committee: all, own, cameras not told", partial(committee, grouped=False)),
    "committee-closed": Method(
        "committee: all, own, no new identities", partial(committee, options=CommitteeOptions(new_classes_below=0))
    ),
    "committee-open": Method(
        "committee: all, own, new identities always", partial(committee, options=CommitteeOptions(new_classes_below=1))
    ),
    "committee-walk": Method("committee: all, own, walk 0.9", partial(committee, options=CommitteeOptions(damping=0.9))),
    "fmr": Method("fixed model reuse, from scratch", fixed_model_reuse),
    "fmr-start": Method("fixed model reuse, from the best source", partial(fixed_model_reuse, start="best-peer")),
    "consistency": Method("modal consistency *", modal_consistency),
    "experts": Method("bag of experts *", bag_of_experts),
    "distillation": Method("output distillation", distilled),
    "fedavg": Method("FedAvg", federated),
    "fedavg-tuned": Method("FedAvg, then fine-tuned", partial(federated, tuned=0.5)),
    "fedprox": Method("FedProx", partial(federated, mu=0.01)),
    "fedper": Method("FedPer", partial(federated, at_home=last_layers)),
    "fedbn": Method("FedBN", partial(federated, at_home=norms)),
}
"""By name; those whose label ends in * need the sources at test time."""
