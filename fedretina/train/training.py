"""How the domains of a run train: steps, rate, device, precision, seed."""

from dataclasses import dataclass
from typing import Literal

from fedretina.train.checks import check_at_least, check_number, check_one_of

DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("auto", "float32", "bfloat16")
LEAST = {"rounds": 1, "local_epochs": 1, "home_epochs": 0, "epoch_samples": 0, "batch_size": 2, "seed": 0}


@dataclass(frozen=True, kw_only=True)
class Training:
    """Settings of the training. The target and its baselines take the same number of steps.

    Parameters
    ----------
    rounds : int, default 6
        In each round the sources publish a version, and the target trains with them.
    local_epochs : int, default 5
        Epochs that a domain trains in a round.
    home_epochs : int, default 20
        Epochs that a source trains at home before its first version, so that this version is worth reusing.
    epoch_samples : int, default 4000
        An epoch of a larger domain takes this many of its samples, others each time; 0 takes all.
    batch_size : int, default 64
        Samples a step.
    lr : float, default 0.002
        Peak learning rate of Adam.
    device : {"auto", "cpu", "cuda"}, default "auto"
        Where to compute.
    precision : {"auto", "float32", "bfloat16"}, default "auto"
        Number format of the networks in training; weights and losses are float32. "auto" is bfloat16 where the device
        multiplies it natively.
    seed : int, default 0
        Everything random follows from it.

    Raises
    ------
    BadArgument
        Naming the key, its value and what is allowed.

    Examples
    --------
    >>> Training(rounds=0)
    Traceback (most recent call last):
    fedretina.errors.BadArgument: rounds = 0: an integer of 1 or more is allowed
    """

    rounds: int = 6
    local_epochs: int = 5
    home_epochs: int = 20
    epoch_samples: int = 4000
    batch_size: int = 64
    lr: float = 0.002
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        for key, least in LEAST.items():
            check_at_least(key, getattr(self, key), least)
        check_number("lr", self.lr, positive=True)
        check_one_of("device", self.device, DEVICES)
        check_one_of("precision", self.precision, PRECISIONS)

    @property
    def epochs(self) -> int:
        """Epochs of the target over all rounds."""
        return self.rounds * self.local_epochs
