"""alpha: how much each source counts (Eq. 2), learned by Theorem 1."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from fedretina.errors import BadArgument
from fedretina.reuse.checks import check_names

AlphaMode = Literal["learned", "uniform"]


def theorem_alpha(risks: Mapping[str, float]) -> dict[str, float]:
    """Weigh sources by the optimum of Theorem 1: alpha_m = (1 / R_m) / sum_j (1 / R_j).

    Parameters
    ----------
    risks : mapping of str to float
        R_m > 0 per source: the risk of the transformed source in the target domain.

    Returns
    -------
    dict of str to float
        alpha_m per source; they sum to 1.

    Raises
    ------
    BadArgument
        There is no source, or a risk is not positive and finite.

    Examples
    --------
    >>> theorem_alpha({"market1501": 0.5, "cuhk03": 0.5, "hostile": 50.0})["hostile"] < 0.01
    True
    """
    if not risks:
        raise BadArgument("alpha needs at least one source: give a risk for each")
    _check_risks(risks)
    smallest = min(risks.values())
    # Against the smallest risk, so that no inverse overflows.
    inverse = {name: smallest / risk for name, risk in risks.items()}
    total = sum(inverse.values())
    return {name: weight / total for name, weight in inverse.items()}


class Alpha(nn.Module):
    """Weights alpha_m >= 0 of the sources, with sum 1: the softmax of logits.

    Eq. 2 is linear in alpha. Descending it would end at a corner of the simplex, on the source that is
    easiest to reconstruct. Theorem 1 bounds the target's risk by a sum of alpha_m^2 R_m instead; descending
    `bound` leads to alpha_m proportional to 1 / R_m.

    Parameters
    ----------
    sources : sequence of str
        Names; the order of `forward()`.
    mode : {"learned", "uniform"}, default "learned"
        "uniform" keeps every weight at 1 / M and has no parameters.

    Raises
    ------
    BadArgument
        No source, one named twice, or an unknown mode.

    Examples
    --------
    >>> alpha = Alpha(["market1501", "cuhk03"])
    >>> alpha.values()
    {'market1501': 0.5, 'cuhk03': 0.5}
    >>> alpha.fit({"market1501": 0.25, "cuhk03": 0.75})
    >>> {name: round(weight, 2) for name, weight in alpha.values().items()}
    {'market1501': 0.75, 'cuhk03': 0.25}
    """

    logits: Tensor

    def __init__(self, sources: Sequence[str], *, mode: AlphaMode = "learned") -> None:
        super().__init__()
        if mode not in get_args(AlphaMode):
            raise BadArgument(f"alpha is {mode!r}, must be one of {', '.join(get_args(AlphaMode))}")
        if isinstance(sources, str) or not sources or len(set(sources)) < len(sources):
            raise BadArgument(f"sources must be a list of different names, at least one, not {sources!r}")
        self.sources, self.mode = tuple(sources), mode
        if mode == "learned":
            self.logits = nn.Parameter(torch.zeros(len(sources)))
        else:
            self.register_buffer("logits", torch.zeros(len(sources)))

    def forward(self) -> Tensor:
        """Give the weights, (M,), in the order of `sources`."""
        return self.logits.softmax(0)

    def values(self) -> dict[str, float]:
        """Give the weights by name, to read or to report."""
        return dict(zip(self.sources, self().tolist(), strict=True))

    def bound(self, risks: Mapping[str, float]) -> Tensor:
        """Compute sum_m alpha_m^2 R_m (Theorem 1 without its constants), whose gradient teaches alpha.

        Parameters
        ----------
        risks : mapping of str to float
            R_m > 0 per source, measured, without gradients.

        Returns
        -------
        Tensor
            A scalar.

        Raises
        ------
        BadArgument
            A source has no risk, a risk no source, or one is not positive and finite.
        """
        check_names("risks", risks, self.sources)
        _check_risks(risks)
        measured = self.logits.new_tensor([risks[name] for name in self.sources])
        return torch.dot(self().square(), measured)

    @torch.no_grad()
    def fit(self, risks: Mapping[str, float]) -> None:
        """Set the weights to the bound's optimum, `theorem_alpha(risks)`; raises as `bound` does."""
        if self.mode != "learned":
            raise BadArgument(f"alpha is {self.mode!r} and stays so: make it 'learned' to fit it")
        check_names("risks", risks, self.sources)
        _check_risks(risks)
        self.logits.copy_(torch.tensor([-math.log(risks[name]) for name in self.sources]))


def _check_risks(risks: Mapping[str, float]) -> None:
    for name, risk in risks.items():
        if not (math.isfinite(risk) and risk > 0):
            raise BadArgument(f"the risk of {name!r} is {risk}: give a positive one, such as 1 - mAP")
