"""Settings of the training: steps, learning rate, device, precision, seed."""

from dataclasses import dataclass
from typing import Literal

from fedretina.checks import check_at_least, check_number, check_one_of

DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("auto", "float32", "bfloat16")
LEAST = {"rounds": 1, "local_epochs": 1, "home_epochs": 0, "epoch_samples": 0, "batch_size": 2, "seed": 0}


@dataclass(frozen=True, kw_only=True)
class Training:
    """Settings of the training, for all domains of a run. The target and its baselines take the same number of steps.

    Parameters
    ----------
    rounds : int, default 6
        Rounds. In each round the sources publish a version, and the target trains with these versions.
    local_epochs : int, default 5
        Epochs of a domain per round.
    home_epochs : int, default 20
        Epochs of a source before its first version, so that this version is useful.
    epoch_samples : int, default 4000
        Samples per epoch of a larger domain, different ones in each epoch; 0 takes all.
    batch_size : int, default 64
        Samples per step.
    lr : float, default 0.002
        Peak learning rate of Adam.
    device : {"auto", "cpu", "cuda"}, default "auto"
        Device of the training.
    precision : {"auto", "float32", "bfloat16"}, default "auto"
        Number format of the networks in training; weights and losses are float32. "auto": bfloat16 if the device
        multiplies it natively, else float32.
    seed : int, default 0
        Seed of all random choices.

    Raises
    ------
    BadArgument
        A value is not allowed; the message names the key, its value and the allowed values.

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
            check_at_least(key.replace("_", "-"), getattr(self, key), least)
        check_number("lr", self.lr, positive=True)
        check_one_of("device", self.device, DEVICES)
        check_one_of("precision", self.precision, PRECISIONS)

    @property
    def epochs(self) -> int:
        """Epochs of the target over all rounds."""
        return self.rounds * self.local_epochs
