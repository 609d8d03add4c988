"""Peers' models make a target domain better: multi-model reuse (Lou et al., ICME 2019, Eq. 1) as a Flower strategy.

When to use it: one domain has few labels, others have trained models for the same kind of input; data must not move.

A round: every source trains at home and publishes its version -> the server relays the versions to the target's node ->
the target trains with them -> its own version goes up. Beside it, on request, the target's node trains the yardsticks: the
target alone, with all labels, and at the end the best source fine-tuned.

What the target has of the sources: it starts from the best of them; its layers reconstruct theirs (Eq. 1); and they
and the target's own state, as a committee, label its unlabelled samples, anew every few epochs, on which it then trains
too: that brings most (`fedretina.reuse.Committee`). `Plan(committee=False)` is the paper's own form, Eq. 1 alone.

The server half is `PeerReuse`, the node half `PeerReuseClient`; what both agree on is a `Plan`. Both see a
`fedretina.task.Task`, and nothing of pedestrians.
"""

from fedretina.strategies.peer_reuse.client import PeerReuseClient, homes
from fedretina.strategies.peer_reuse.jobs import Job
from fedretina.strategies.peer_reuse.plan import Plan
from fedretina.strategies.peer_reuse.server import PeerReuse, RoundResult, RunResult

__all__ = ["Job", "PeerReuse", "PeerReuseClient", "Plan", "RoundResult", "RunResult", "homes"]
