"""Variants of Eq. 1: the loss of alpha, the kind of V, the normalisation of the sum."""

from dataclasses import dataclass
from typing import Literal, get_args

from fedretina.checks import check_at_least, check_number, check_one_of
from fedretina.errors import BadArgument

AlphaLoss = Literal["quadratic", "entropy", "none"]


@dataclass(frozen=True, kw_only=True)
class Form:
    """Which variant of Eq. 1 the objective computes. The default is the one that `ReuseObjective` describes.

    Parameters
    ----------
    alpha_loss : {"quadratic", "entropy", "none"}, default "quadratic"
        The loss of a learned alpha. "quadratic": sum_m alpha_m^2 R_m (Theorem 1); its optimum is alpha_m proportional to
        1 / R_m. "entropy": sum_m alpha_m R_m - temperature * entropy(alpha); its optimum is the softmax of
        -R_m / temperature. "none": Eq. 2 alone, sum_m alpha_m R_m; its optimum is the one source of the smallest R_m.
    temperature : float, default 0.5
        Factor of the entropy; positive.
    per_layer : bool, default False
        Whether each layer has its own weights, by the residuals of the sources in that layer. Risks that you measure
        (`risks=`) belong to whole sources: then every layer has the same weights.
    hidden : int, default 0
        Units of a small network beside each V, along the first mode (Nonlinear Multi-Model Reuse, MMSP 2022); 0: none.
    literal : bool, default False
        Sum over samples and entries as Eq. 1 is printed. gamma then depends on the batch size and on each model's scale.
    closed_form : bool, default False
        V gets no gradient. Call `ReuseObjective.fit` to set it by least squares, again every few epochs.

    Raises
    ------
    BadArgument
        A value is not allowed; the message names the key, its value and the allowed values.

    Examples
    --------
    >>> Form(literal=True).alpha_loss
    'quadratic'
    """

    alpha_loss: AlphaLoss = "quadratic"
    temperature: float = 0.5
    per_layer: bool = False
    hidden: int = 0
    literal: bool = False
    closed_form: bool = False

    def __post_init__(self) -> None:
        check_one_of("alpha_loss", self.alpha_loss, get_args(AlphaLoss))
        check_number("temperature", self.temperature, positive=True)
        check_at_least("hidden", self.hidden, 0)
        if self.closed_form and self.hidden:
            raise BadArgument("closed_form = True, hidden > 0: least squares finds linear maps only; choose one of the two")
