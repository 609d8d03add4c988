"""alpha: the weights of the sources (Eq. 2), learned or set by Theorem 1."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from fedretina.checks import check_one_of
from fedretina.errors import BadArgument
from fedretina.reuse.checks import check_names
from fedretina.reuse.form import AlphaLoss

AlphaMode = Literal["learned", "bound", "uniform"]


def theorem_alpha(risks: Mapping[str, float]) -> dict[str, float]:
    """Compute the optimal weights of Theorem 1: alpha_m = (1 / R_m) / sum_j (1 / R_j).

    Parameters
    ----------
    risks : mapping of str to float
        R_m > 0 of each source: the risk of the transformed source in the target domain.

    Returns
    -------
    dict of str to float
        alpha_m of each source; they sum to 1.

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
    # Relative to the smallest risk, so that no inverse overflows.
    inverse = {name: smallest / risk for name, risk in risks.items()}
    total = sum(inverse.values())
    return {name: weight / total for name, weight in inverse.items()}


class Alpha(nn.Module):
    """Weights alpha_m >= 0 of the sources, with sum 1: the softmax of logits.

    Eq. 2 is linear in alpha. Its gradient descent would end on one source, the easiest to reconstruct. Theorem 1 bounds
    the target's risk by a sum of alpha_m^2 R_m. The gradient descent of `bound` ends at alpha_m proportional to 1 / R_m.

    Parameters
    ----------
    sources : sequence of str
        Names, in the order of `forward()`.
    mode : {"learned", "bound", "uniform"}, default "learned"
        "learned": the logits are parameters. "bound": `fit` sets the weights to Theorem 1's optimum. "uniform": every
        weight stays 1 / M. The last two have no parameters.
    layers : sequence of str, optional
        If given, every layer has its own weights: the shape (M,) in this class becomes (M, H').

    Raises
    ------
    BadArgument
        There is no source, a source is named twice, or the mode is unknown.

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
        check_one_of("alpha", mode, get_args(AlphaMode))
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
        """Give the weights by name: those of one layer, or the mean over the layers."""
        weights = self()
        if self.layers is not None:
            weights = weights.mean(1) if layer is None else weights[:, self._index(layer)]
        return dict(zip(self.sources, weights.tolist(), strict=True))

    def _index(self, layer: str) -> int:
        if self.layers is None or layer not in self.layers:
            raise BadArgument(f"there are no weights for a layer {layer!r}: name one of {list(self.layers or ())}")
        return self.layers.index(layer)

    def bound(self, risks: Mapping[str, float]) -> Tensor:
        """Compute sum_m alpha_m^2 R_m (Theorem 1 without its constants); its gradient trains alpha.

        Parameters
        ----------
        risks : mapping of str to float
            R_m > 0 of each source, as measured; without gradients.

        Returns
        -------
        Tensor
            A scalar.

        Raises
        ------
        BadArgument
            A source has no risk, a risk has no source, or a risk is not positive and finite.
        """
        return self.loss(self.risk_tensor(risks))

    def risk_tensor(self, risks: Mapping[str, float]) -> Tensor:
        """Check risks given by name, and arrange them like the weights: (M,), or (M, H') with equal columns."""
        check_names("risks", risks, self.sources)
        _check_risks(risks)
        column = self.logits.new_tensor([risks[name] for name in self.sources])
        return column if self.layers is None else column[:, None].expand_as(self.logits)

    def loss(self, risks: Tensor, *, kind: AlphaLoss = "quadratic", temperature: float = 0.5) -> Tensor:
        """Compute the loss of a learned alpha, a scalar; see `Form.alpha_loss`.

        Parameters
        ----------
        risks : Tensor
            R_m > 0 in the shape of the weights, (M,) or (M, H'); without gradients.
        kind : {"quadratic", "entropy", "none"}, default "quadratic"
            "quadratic": Theorem 1. "entropy": Eq. 2 minus the entropy. "none": Eq. 2 alone.
        temperature : float, default 0.5
            Factor of the entropy.

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
        """Set the weights to the bound's optimum, `theorem_alpha(risks)`; it raises the same errors as `bound`."""
        if self.mode == "uniform":
            raise BadArgument("alpha is 'uniform', so its weights are fixed: make it 'learned' or 'bound' to fit it")
        self.set_optimum(self.risk_tensor(risks))

    @torch.no_grad()
    def set_optimum(self, risks: Tensor) -> None:
        """Set the weights to Theorem 1's optimum for the risks that `risk_tensor` returns."""
        self.logits.copy_(-risks.log())


def _check_risks(risks: Mapping[str, float]) -> None:
    for name, risk in risks.items():
        if not (math.isfinite(risk) and risk > 0):
            raise BadArgument(f"the risk of {name!r} is {risk}: give a positive one, such as 1 - mAP")
