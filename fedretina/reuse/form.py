"""The forms of Eq. 1: the loss of alpha, the kind of V, the sum."""

from dataclasses import dataclass
from numbers import Integral
from typing import Literal, get_args

from fedretina.errors import BadArgument

AlphaLoss = Literal["quadratic", "entropy", "none"]


@dataclass(frozen=True, kw_only=True)
class Form:
    """The form of the reuse term; the default is what `ReuseObjective` describes.

    Parameters
    ----------
    alpha_loss : {"quadratic", "entropy", "none"}, default "quadratic"
        The loss of a learned alpha: sum_m alpha_m^2 R_m (Theorem 1), whose optimum is alpha_m proportional to 1 / R_m; or
        sum_m alpha_m R_m - temperature * entropy(alpha), whose optimum is the softmax of -R_m / temperature; or Eq. 2 alone,
        sum_m alpha_m R_m, which ends on the one source of the smallest R_m.
    temperature : float, default 0.5
        Of the entropy; positive.
    per_layer : bool, default False
        Whether each layer has weights of its own, by what of a source's layer is left to reconstruct there. Risks that you
        measure (`risks=`) are those of whole sources: every layer then has the same weights.
    hidden : int, default 0
        Units of a small network after each V (Nonlinear Multi-Model Reuse, MMSP 2022), along the first mode; 0: none.
    literal : bool, default False
        Sum over samples and entries as Eq. 1 is written. gamma then depends on the batch's size and on each model's scale.
    closed : bool, default False
        V has no gradient: it is set by least squares, `ReuseObjective.fit`, and set anew now and then.

    Raises
    ------
    BadArgument
        Naming the key, its value and what is allowed.

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
    closed: bool = False

    def __post_init__(self) -> None:
        if self.alpha_loss not in get_args(AlphaLoss):
            raise BadArgument(f"alpha_loss = {self.alpha_loss!r}: allowed are {', '.join(get_args(AlphaLoss))}")
        if not 0 < self.temperature < float("inf"):
            raise BadArgument(f"temperature = {self.temperature}: a positive number is allowed")
        if not isinstance(self.hidden, Integral) or isinstance(self.hidden, bool) or self.hidden < 0:
            raise BadArgument(f"hidden = {self.hidden}: an integer of 0 or more is allowed")
        if self.closed and self.hidden:
            raise BadArgument("closed = True, hidden > 0: least squares finds linear maps only; choose one of the two")
