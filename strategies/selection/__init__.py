"""Which peers' models a target gets, under a budget of bytes.

`choose` ranks the candidates by a policy, and takes the best that the budget allows:

- ``"all"``: in the order of their names.
- ``"random"``: in a random order.
- ``"nearest"``: by the angle between sketches of their data (`sketch`, `sketch_distance`).
- ``"score"``: by a score of their features on the target's labelled samples (`log_evidence`, `h_score`).
- ``"bound"``: by the risk R_m of Theorem 1, as measured so far; exploring what was tried seldom.
- ``"oracle"``: by the gain that is known afterwards; it shows how much a better policy could gain.

The module knows no messages: who asks decides when sketches and scores travel.
"""

from fedretina.strategies.selection.choice import Budget, choose
from fedretina.strategies.selection.evidence import Evidence
from fedretina.strategies.selection.policies import POLICIES, Policy
from fedretina.strategies.selection.scores import h_score, log_evidence
from fedretina.strategies.selection.sketches import MIN_SAMPLES, sketch, sketch_distance, sketch_distances

__all__ = [
    "MIN_SAMPLES",
    "POLICIES",
    "Budget",
    "Evidence",
    "Policy",
    "choose",
    "h_score",
    "log_evidence",
    "sketch",
    "sketch_distance",
    "sketch_distances",
]
