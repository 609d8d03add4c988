"""What is known of a candidate."""

from dataclasses import dataclass

from fedretina.errors import BadArgument


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What is known of one candidate, from the view of one target.

    Parameters
    ----------
    transfer_bytes : int, default 0
        Size of the payload that would bring the candidate's model to the target.
    distance : float or None, default None
        Distance of its data's sketch from the target's (`sketch_distance`), for "nearest".
    score : float or None, default None
        Score of its features on the target's labelled samples, for "score"; higher is better.
    risks : tuple of float, default ()
        R_m of Theorem 1 in the rounds in which the target used it, for "bound".
    gain : float or None, default None
        What the target gained by it, for "oracle".

    Raises
    ------
    BadArgument
        If a size is negative.
    """

    transfer_bytes: int = 0
    distance: float | None = None
    score: float | None = None
    risks: tuple[float, ...] = ()
    gain: float | None = None

    def __post_init__(self) -> None:
        if self.transfer_bytes < 0:
            raise BadArgument(f"transfer_bytes = {self.transfer_bytes}: give the size of a payload, 0 or more")
