"""Table 4 and Fig. 5: four versions of one model in training, each sent as a difference from the last, and without one.

V0 is held at both ends. V1 to V3 are coded in steps of 10^-c (Eq. 6 and 7) against what the other end made of the version
before, and once more as they are; what arrives is tested.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import torch

from fedretina.dom import DomConfig, Rounding, decode, encode
from fedretina.study.methods.regularised import term
from fedretina.study.store import Numbers
from fedretina.study.student import Student
from fedretina.train import DomainBatches, Learner, Span, SupervisedLoss, arrays_of

Model = Mapping[str, np.ndarray]
CUTS = (0.4, 0.6, 0.8, 1.0)
"""After which parts of the training V0 to V3 are taken."""
BITS = (7, 6, 5, 4, 3)
ROUNDINGS: dict[str, Rounding] = {"symmetric": "deadzone", "literal": "paper"}
"""sign(x) * floor(|x| + f), which is meant; and Eq. 6 as it is printed, round(x + f), which is biased."""


def versions(student: Student) -> Numbers:
    """Train with Eq. 1, take four versions, code and test the last three.

    Returns
    -------
    dict of str to float
        ``V1.mAP`` and the like; ``symmetric.dom.c7.V1.mAP`` and ``.ratio`` for what arrives of V1, also with ``literal``,
        and ``plain`` for the model without a difference. A ratio is of the raw bytes to the payload's.
    """
    taken = list(_train(student))
    numbers = {f"V{i}.{name}": value for i in (1, 2, 3) for name, value in _score(student, taken[i]).items()}
    for name, rounding in ROUNDINGS.items():
        for bits in BITS:
            config = DomConfig(bits=bits, rounding=rounding, absolute_keyframes=True)
            for way in ("dom", "plain"):
                sent = _send(student, taken, config, difference=way == "dom")
                numbers |= {f"{name}.{way}.c{bits}.{key}": value for key, value in sent.items()}
            student.on_progress(f"coding, {name}", BITS.index(bits) + 1, len(BITS))
    return numbers


def _train(student: Student) -> Iterator[Model]:
    model, training = student.fresh(), student.training
    name = f"{student.setting.target}/versions"
    terms = [SupervisedLoss(student.task), term(student, model)]
    batches = DomainBatches(student.task, student.splits, training.batch_size, unlabelled=True)
    learner = Learner(model, student.task, training, name=name, batches=batches, terms=terms)
    first = 0
    for cut in CUTS:
        last = max(first, round(cut * training.epochs))

        def on_epoch(epoch: int, total: int, loss: float, speed: float) -> None:
            del loss, speed
            student.on_progress("versions", epoch, total)

        learner.train(Span(first, last, training.epochs), student.samples, on_epoch)
        yield {key: value.copy() for key, value in arrays_of(model).items()}
        first = last


def _send(student: Student, taken: list[Model], config: DomConfig, *, difference: bool) -> Numbers:
    held, numbers = taken[0], Numbers()
    for i, version in enumerate(taken[1:], start=1):
        base = held if difference else None
        payload = encode(version, base=base, config=config)
        held = decode(payload, base=base)
        raw = sum(array.nbytes for array in version.values())
        numbers |= {f"V{i}.{key}": value for key, value in _score(student, held).items()}
        numbers[f"V{i}.ratio"] = raw / len(payload)
    return numbers


def _score(student: Student, version: Model) -> Numbers:
    model = student.fresh()
    model.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in version.items()})
    return student.score(model)
