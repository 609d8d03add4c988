"""Rate and error of every scheme on every update."""

import inspect
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from codec.entropy import by_class, per_tensor
from codec.measure import Point, measure
from codec.results import DOM, HERE, Results
from codec.roster import schemes
from codec.schemes.base import Scheme
from codec.schemes.peer import Peer
from codec.update import Update
from fedretina.study.codecs import nncodec_is_available

_CODE = tuple(HERE / name for name in ("schemes/base.py", "schemes/peer.py", "measure.py", "update.py"))


def measure_all(update: Update, results: Results, *, quick: bool) -> list[Point]:
    """Measure what has not been measured yet; return every point."""
    named = schemes(update.rms, quick=quick, nncodec=nncodec_is_available())
    return [point for family, members in named.items() for point in measure_family(update, family, members, results)]


def measure_family(update: Update, family: str, members: Sequence[Scheme], results: Results) -> list[Point]:
    """Measure one curve, unless that has been done."""
    code = (*_CODE, source_of(members[0]))
    found = results.get(
        f"{update.name}/{re.sub('[^a-z0-9]+', '-', family.lower())}",
        lambda: [asdict(measure(scheme, update)) for scheme in members],
        code=(*code, DOM) if members[0].uses_dom else code,
        vectors=update.name,
        settings=str([vars(scheme) for scheme in members]),
    )
    return [Point(**values) for values in found]


def source_of(scheme: Scheme) -> Path:
    """Return the file that a scheme's results depend on: of a peer, its codec's."""
    return Path(inspect.getfile(type(scheme.codec if isinstance(scheme, Peer) else scheme)))


def floors(update: Update, results: Results) -> dict[str, dict[str, float]]:
    """Return, for c = 3 and 4, the entropies of the bars' integers: per tensor, and by class."""

    def compute() -> dict[str, dict[str, float]]:
        return {
            str(bits): {"per_tensor": per_tensor(update, 10.0**-bits), "by_class": by_class(update, 10.0**-bits)}
            for bits in (3, 4)
        }

    found: dict[str, dict[str, float]] = results.get(
        f"{update.name}/entropy", compute, code=(HERE / "entropy.py",), vectors=update.name
    )
    return found


def of_family(points: Sequence[Point], family: str) -> list[Point]:
    """Return a family's points, by rising error."""
    return sorted((point for point in points if point.family == family), key=lambda point: point.error)


def at_error(points: Sequence[Point], error: float) -> float | None:
    """Return the bits per weight at an error, between the neighbours on a curve; None beyond its ends.

    Bits fall by a constant with each octave of the error, so they are interpolated over its logarithm.
    """
    curve = sorted(points, key=lambda point: point.error)
    if not curve or not curve[0].error <= error <= curve[-1].error:
        return None
    return float(np.interp(np.log(error), [np.log(p.error) for p in curve], [p.bpw for p in curve]))
