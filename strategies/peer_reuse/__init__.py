"""Peers' models make target domains better: multi-model reuse (Lou et al., ICME 2019, Eq. 1) as a Flower strategy.

When to use it: some domains have few labels, others have trained models for the same kind of input, and data must not move.

A round has four steps:

1. Every source trains at home and publishes its version.
2. The server relays the versions to the nodes of the targets.
3. Every target trains with them.
4. Every target publishes its own version. The server relays it to the front ends, nodes that only receive models.

Targets are independent of each other: each has its own weights of the sources and its own results. A domain may be a target
and a source. Then it trains two models, and the other targets reuse the one from home; it never reuses that one itself.
On request the targets' nodes also train the baselines: the target alone, with all labels, and the best source fine-tuned.

A target reuses the sources in three ways:

- It starts from the best of them.
- Its layers reconstruct theirs (Eq. 1).
- They and the target's own state are a committee. It labels the target's unlabelled samples every few epochs, and the target
  trains on these labels too. This brings most of the gain (`fedretina.reuse.Committee`).

`ReuseConfig(committee=False)` is the paper's own form, Eq. 1 alone.

The server's half is `PeerReuse`, the node's half `PeerReuseClient`. A run is configured by `Topology` (which domains take
part), `fedretina.train.Training` and `ReuseConfig`. Both halves know the problem only as a `fedretina.task.Task`.
"""

from fedretina.strategies.peer_reuse.admission import AdmissionLimits
from fedretina.strategies.peer_reuse.client import PeerReuseClient, hosted_domains
from fedretina.strategies.peer_reuse.config import ReuseConfig, Topology
from fedretina.strategies.peer_reuse.front_ends import ModelFolder
from fedretina.strategies.peer_reuse.jobs import Job
from fedretina.strategies.peer_reuse.joint import JOINT_RULES, JOINT_TYPE
from fedretina.strategies.peer_reuse.results import RoundResult, RunResult, TargetResult
from fedretina.strategies.peer_reuse.server import PeerReuse

__all__ = [
    "JOINT_RULES",
    "JOINT_TYPE",
    "AdmissionLimits",
    "Job",
    "ModelFolder",
    "PeerReuse",
    "PeerReuseClient",
    "ReuseConfig",
    "RoundResult",
    "RunResult",
    "TargetResult",
    "Topology",
    "hosted_domains",
]
