"""alpha: how much each source counts (Eq. 2), learned by Theorem 1."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from fedretina.errors import BadArgument
from fedretina.reuse.checks import check_names
from fedretina.reuse.form import AlphaLoss

AlphaMode = Literal["learned", "bound", "uniform"]


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
    mode : {"learned", "bound", "uniform"}, default "learned"
        "bound" is set to Theorem 1's optimum by `fit`, "uniform" keeps every weight at 1 / M; these have no parameters.
    layers : sequence of str, optional
        If given, every layer has weights of its own, and what is (M,) here is (M, H').

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

    def __init__(self, sources: Sequence[str], *, mode: AlphaMode = "learned", layers: Sequence[str] | None = None) -> None:
        super().__init__()
        if mode not in get_args(AlphaMode):
            raise BadArgument(f"alpha is {mode!r}, must be one of {', '.join(get_args(AlphaMode))}")
        if isinstance(sources, str) or not sources or len(set(sources)) < len(sources):
            raise BadArgument(f"sources must be a list of different names, at least one, not {sources!r}")
        self.sources, self.mode, self.layers = tuple(sources), mode, None if layers is None else tuple(layers)
        zeros = torch.zeros(len(sources)) if layers is None else torch.zeros(len(sources), len(layers))
        if mode == "learned":
            self.logits = nn.Parameter(zeros)
        else:
            self.register_buffer("logits", zeros)

    def forward(self) -> Tensor:
        """Give the weights, (M,), in the order of `sources`."""
        return self.logits.softmax(0)

    def values(self, layer: str | None = None) -> dict[str, float]:
        """Give the weights by name, to read or to report: a layer's own, or the mean over the layers."""
        weights = self()
        if self.layers is not None:
            weights = weights.mean(1) if layer is None else weights[:, self._place(layer)]
        return dict(zip(self.sources, weights.tolist(), strict=True))

    def _place(self, layer: str) -> int:
        if self.layers is None or layer not in self.layers:
            raise BadArgument(f"there are no weights for a layer {layer!r}, but for {list(self.layers or ())}")
        return self.layers.index(layer)

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
        return self.loss(self.measured(risks))

    def measured(self, risks: Mapping[str, float]) -> Tensor:
        """Check risks by name and arrange them as the weights are, each layer alike."""
        check_names("risks", risks, self.sources)
        _check_risks(risks)
        column = self.logits.new_tensor([risks[name] for name in self.sources])
        return column if self.layers is None else column[:, None].expand_as(self.logits)

    def loss(self, risks: Tensor, *, kind: AlphaLoss = "quadratic", temperature: float = 0.5) -> Tensor:
        """Compute the loss of a learned alpha, a scalar; see `Form.alpha_loss`.

        Parameters
        ----------
        risks : Tensor
            R_m > 0, (M,) or (M, H') as the weights are; without gradients.
        kind : {"quadratic", "entropy", "none"}, default "quadratic"
            Theorem 1, or Eq. 2 less the entropy, or Eq. 2 alone.
        temperature : float, default 0.5
            Of the entropy.

        Examples
        --------
        >>> Alpha(["a", "b"]).loss(torch.tensor([1.0, 3.0])).item()
        1.0
        """
        weights = self()
        if kind == "quadratic":
            return torch.dot(weights.square().flatten(), risks.flatten())
        linear = torch.dot(weights.flatten(), risks.flatten())
        return linear if kind == "none" else linear + temperature * (weights * weights.log()).sum()

    @torch.no_grad()
    def fit(self, risks: Mapping[str, float]) -> None:
        """Set the weights to the bound's optimum, `theorem_alpha(risks)`; raises as `bound` does."""
        if self.mode == "uniform":
            raise BadArgument("alpha is 'uniform' and stays so: make it 'learned' or 'bound' to fit it")
        self.settle(self.measured(risks))

    @torch.no_grad()
    def settle(self, risks: Tensor) -> None:
        """Set the weights to Theorem 1's optimum for risks arranged as they are."""
        self.logits.copy_(-risks.log())


def _check_risks(risks: Mapping[str, float]) -> None:
    for name, risk in risks.items():
        if not (math.isfinite(risk) and risk > 0):
            raise BadArgument(f"the risk of {name!r} is {risk}: give a positive one, such as 1 - mAP")
