"""All that the page by loss tells: measured, or read where it has been measured before."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from codec.loss import channels, federated
from codec.loss.sweep import CODECS, Judged, JudgedVector
from codec.results import DOM, HERE, Results
from codec.vectors.language import TINY, base
from codec.vectors.roster import JUDGED_VECTORS, QUICK_VECTORS, Vector
from fedretina.study.tasks import source


@dataclass(frozen=True)
class LossStudy:
    """Everything: `source` names the text."""

    source: str
    vectors: Sequence[Judged]
    federation: federated.Federation
    trained: Sequence[federated.Training]


def study(folder: Path, results: Results, *, quick: bool) -> LossStudy:
    """Train what has not been trained yet, and measure what has not been measured yet."""
    vectors: Mapping[str, Vector] = QUICK_VECTORS if quick else JUDGED_VECTORS
    judged = []
    for name, vector in vectors.items():
        vector.write(name, folder)
        judged.append(JudgedVector(name, vector, folder, quick).measured(results))
    what = federated.Federation(TINY, rounds=2, steps=3) if quick else federated.Federation()
    base(what.size, folder)
    names = channels.QUICK if quick else channels.CHANNELS
    return LossStudy(source(), judged, what, [_trained(channel, what, folder, results) for channel in names])


def _trained(channel: str, what: federated.Federation, folder: Path, results: Results) -> federated.Training:
    codec = channels.CHANNELS[channel]()
    code = (HERE / "loss" / "federated.py", HERE / "vectors" / "language.py", CODECS)
    found = results.get(
        f"loss/federated/{re.sub('[^a-z0-9]+', '-', channel.lower())}",
        lambda: asdict(federated.federate(channel, codec, folder, what)),
        code=(*code, DOM) if codec.name == "dom" else code,
        vectors=what.size.name,
        settings=f"{codec} {what}",
    )
    return federated.Training(**found)
