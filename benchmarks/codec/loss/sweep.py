"""Every scheme on every judged vector: bits, error, and the share of the loss improvement that is lost."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from codec.rates import source_of
from codec.results import DOM, HERE, Results
from codec.roster import by_family, iso, peers
from codec.schemes.base import Scheme
from codec.schemes.ours import Ours
from codec.update import Update
from codec.vectors.judge import Judge
from codec.vectors.roster import Vector
from fedretina import study
from fedretina.dom import DomConfig
from fedretina.study.codecs import nncodec_is_available

CODECS = Path(study.__file__).parent / "codecs"
ERRORS = (0.1, 0.25, 0.5, 0.7, 0.9)
STEPS = (0.3, 0.5, 0.7, 1.0, 1.4, 2.0, 3.0, 5.0)
_CODE = (
    *(HERE / name for name in ("update.py", "schemes/peer.py", "vectors/judge.py", "vectors/roster.py")),
    *(CODECS / name for name in ("codec.py", "layout.py")),
)


@dataclass(frozen=True)
class LossPoint:
    """What a scheme did: bits per weight, relative error, share of the loss improvement lost (1: as bad as the base)."""

    family: str
    label: str
    bpw: float
    error: float
    lost: float

    @property
    def is_ours(self) -> bool:
        """Whether it is of `fedretina.dom`."""
        return self.family.startswith("DoM")


@dataclass(frozen=True)
class Judged:
    """One vector: its size, its loss before and after the round, and all points."""

    name: str
    weights: int
    rms: float
    losses: tuple[float, float]
    points: Sequence[LossPoint]


@dataclass(frozen=True)
class JudgedVector:
    """A vector in a folder, read and judged only where something is not measured yet."""

    name: str
    vector: Vector
    folder: Path
    quick: bool

    @cached_property
    def update(self) -> Update:
        """The models."""
        return Update.read(self.folder / self.name)

    @cached_property
    def judge(self) -> Judge:
        """Their judge."""
        return self.vector.judge(self.name, self.folder)

    def measured(self, results: Results) -> Judged:
        """Measure what has not been measured yet, a family at a time."""
        head = results.get(
            f"loss/{self.name}/vector",
            lambda: {"weights": self.update.weights, "rms": self.update.rms, "losses": self.judge.losses},
            code=_CODE,
            vectors=self.name,
        )
        named = by_family(list(schemes(head["rms"], quick=self.quick)))
        points = [point for family, members in named.items() for point in self._family(family, members, results)]
        return Judged(self.name, head["weights"], head["rms"], tuple(head["losses"]), points)

    def _family(self, family: str, members: Sequence[Scheme], results: Results) -> list[LossPoint]:
        code = (*_CODE, source_of(members[0]))
        found = results.get(
            f"loss/{self.name}/{re.sub('[^a-z0-9]+', '-', family.lower())}",
            lambda: [asdict(self._point(scheme)) for scheme in members],
            code=(*code, DOM) if members[0].uses_dom else code,
            vectors=self.name,
            settings=str([vars(scheme) for scheme in members]),
        )
        return [LossPoint(**values) for values in found]

    def _point(self, scheme: Scheme) -> LossPoint:
        payload = scheme.encode(self.update)
        decoded = scheme.decode(payload, self.update.base)
        bits = self.update.bits_per_weight(sum(map(len, payload)))
        return LossPoint(scheme.family, scheme.label, bits, self.update.error(decoded), self.judge.lost_by(decoded))


def schemes(rms: float, *, quick: bool) -> Iterator[Scheme]:
    """Return ours, then peers; steps are multiples of the RMS of the differences."""
    every = 3 if quick else 1
    for effort in ("balanced", "small"):
        for error in ERRORS[::every]:
            yield Ours(f"DoM {effort}, equal errors", f"error {error:g}", DomConfig(relative_error=error, effort=effort))
        for step in STEPS[::every]:
            yield Ours(f"DoM {effort}, one step", f"{step:g} RMS", DomConfig(rms_step=step, effort=effort))
    for step in STEPS[::every]:  # as most peers do
        config = DomConfig(rms_step=step, effort="small", vector_error=None)
        yield Ours("DoM small, one step, vectors too", f"{step:g} RMS", config)
    yield from peers()
    if nncodec_is_available():
        yield from (iso("smallest", step * rms) for step in STEPS[::2])
