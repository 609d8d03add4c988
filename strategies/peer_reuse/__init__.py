"""Peers' models make a target domain better: multi-model reuse (Lou et al., ICME 2019, Eq. 1) as a Flower strategy.

When to use it: one domain has few labels, others have trained models for the same kind of input; data must not move.

A round: every source trains at home and publishes its version -> the server relays the versions to the target's node ->
the target trains with them -> its own version goes up. On request the target's node also trains the baselines: the
target alone, with all labels, and at the end the best source fine-tuned.

The target reuses the sources in three ways: it starts from the best of them; its layers reconstruct theirs (Eq. 1); they
and the target's own state, as a committee, label its unlabelled samples anew every few epochs, and it trains on these
labels too. The committee brings most (`fedretina.reuse.Committee`). `ReuseConfig(committee=False)` is the paper's own form,
Eq. 1 alone.

The server half is `PeerReuse`, the node half `PeerReuseClient`. A run is configured by `Topology`, which domains take part,
`fedretina.train.Training`, and `ReuseConfig`. Both halves see a `fedretina.task.Task`, and nothing of pedestrians.
"""

from fedretina.strategies.peer_reuse.client import PeerReuseClient, hosted_domains
from fedretina.strategies.peer_reuse.config import ReuseConfig, Topology
from fedretina.strategies.peer_reuse.jobs import Job
from fedretina.strategies.peer_reuse.results import RoundResult, RunResult
from fedretina.strategies.peer_reuse.server import PeerReuse

__all__ = ["Job", "PeerReuse", "PeerReuseClient", "ReuseConfig", "RoundResult", "RunResult", "Topology", "hosted_domains"]
