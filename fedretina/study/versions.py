"""Table 4 and Fig. 5: four versions of one model in training, sent with a difference of models and without.

Sender and receiver both have V0. V1 to V3 are quantised in steps of 10^-c (Eq. 6 and 7), either as a difference from the
version that the receiver has, or as whole models. The received models are tested.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import torch

from fedretina.dom import DomConfig, Rounding, decode, encode
from fedretina.study.methods.reuse import reuse_term
from fedretina.study.store import Metrics
from fedretina.study.student import Student
from fedretina.train import DomainBatches, EpochRange, Learner, SupervisedLoss, model_arrays

Model = Mapping[str, np.ndarray]
PROGRESS = (0.4, 0.6, 0.8, 1.0)
"""Finished fractions of the training at which V0 to V3 are saved."""
BITS = (7, 6, 5, 4, 3)
ROUNDINGS: dict[str, Rounding] = {"symmetric": "deadzone", "literal": "paper"}
"""symmetric: sign(x) * floor(|x| + f), as intended. literal: Eq. 6 as printed, round(x + f), which is biased."""


def versions(student: Student) -> Metrics:
    """Train with Eq. 1, save four versions, then send and test the last three.

    Returns
    -------
    dict of str to float
        Metrics of the versions, such as ``V1.mAP``, and of the received versions, such as ``symmetric.dom.c7.V1.mAP``: the
        rounding, "dom" or "plain" (whole models), c, and the version. ``.ratio`` is raw bytes / bytes of the payload.
    """
    saved = list(_train(student))
    metrics = {f"V{i}.{name}": value for i in (1, 2, 3) for name, value in _score(student, saved[i]).items()}
    for name, rounding in ROUNDINGS.items():
        for bits in BITS:
            config = DomConfig(bits=bits, rounding=rounding, absolute_keyframes=True)
            for coding in ("dom", "plain"):
                received = _send(student, saved, config, difference=coding == "dom")
                metrics |= {f"{name}.{coding}.c{bits}.{key}": value for key, value in received.items()}
            student.on_progress(f"coding, {name}", BITS.index(bits) + 1, len(BITS))
    return metrics


def _train(student: Student) -> Iterator[Model]:
    model, training = student.new_model(), student.training
    name = f"{student.setting.target}/versions"
    terms = [SupervisedLoss(student.task), reuse_term(student, model)]
    batches = DomainBatches(student.task, student.splits, training.batch_size, unlabelled=True)
    learner = Learner(model, student.task, training, name=name, batches=batches, terms=terms)
    first = 0
    for progress in PROGRESS:
        last = max(first, round(progress * training.epochs))

        def on_epoch(epoch: int, total: int, loss: float, speed: float) -> None:
            del loss, speed
            student.on_progress("versions", epoch, total)

        learner.train(EpochRange(first, last, training.epochs), student.samples, on_epoch)
        yield {key: value.copy() for key, value in model_arrays(model).items()}
        first = last


def _send(student: Student, versions: list[Model], config: DomConfig, *, difference: bool) -> Metrics:
    received, metrics = versions[0], Metrics()
    for i, version in enumerate(versions[1:], start=1):
        base = received if difference else None
        payload = encode(version, base=base, config=config)
        received = decode(payload, base=base)
        raw = sum(array.nbytes for array in version.values())
        metrics |= {f"V{i}.{key}": value for key, value in _score(student, received).items()}
        metrics[f"V{i}.ratio"] = raw / len(payload)
    return metrics


def _score(student: Student, version: Model) -> Metrics:
    model = student.new_model()
    model.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in version.items()})
    return student.score(model)
