"""Which peers a target gets, under a budget of bytes.

When to use it: there are more peers than a target can pay for. `choose` ranks the candidates by a policy, and takes them in
that order while the budget lasts.

==========  ==============================================================================================================
policy      ranks candidates by
==========  ==============================================================================================================
"all"       nothing: the order in which they are given
"random"    a random order
"nearest"   the angles between the domains' sketches (Vahidian et al., PACFL, AAAI 2023)
"score"     LogME of the features that the candidate gives the target's labelled samples (You et al., ICML 2021)
"bound"     the candidate's risk R_m in the target (Theorem 1), averaged over the rounds that tried it
"oracle"    the true gain, which only a simulation knows: for head-room
==========  ==============================================================================================================

"score" and "bound" know only what was tried. So they alternate: the best of those tried, then the nearest of those untried.
"""

from fedretina.strategies.selection.choice import POLICIES, Evidence, Policy, choose, rank
from fedretina.strategies.selection.sketch import Sketch, positions, sketch, sketch_distance
from fedretina.strategies.selection.transfer_scores import h_score, logme

__all__ = [
    "POLICIES",
    "Evidence",
    "Policy",
    "Sketch",
    "choose",
    "h_score",
    "logme",
    "positions",
    "rank",
    "sketch",
    "sketch_distance",
]
