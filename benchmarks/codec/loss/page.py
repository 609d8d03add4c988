"""The page by loss: every number in it is computed, its words are in page.md.j2."""

from collections.abc import Sequence
from pathlib import Path

from codec.loss.bars import Need, bars, needs
from codec.loss.federated import Training
from codec.loss.plots import federated_plot, loss_plot
from codec.loss.study import LossStudy
from codec.loss.sweep import Judged, LossPoint
from codec.results import HERE
from codec.template import bar_table, render
from fedretina.study import table

NAME = "codec-loss.md"
_COMPARED = (
    ("DoM balanced, equal errors", "error 0.25"),
    *(("DoM balanced, one step", f"{step} RMS") for step in (0.5, 1, 2, 3)),
)


def write(study: LossStudy, docs: Path) -> Path:
    """Write the page and its images; return the page's path."""
    images, page = docs / "images", docs / NAME
    for folder in (images, page.parent):
        folder.mkdir(parents=True, exist_ok=True)
    for judged in study.vectors:
        (images / f"codec-loss-{judged.name}.png").write_bytes(loss_plot(judged))
    (images / "codec-loss-federated.png").write_bytes(federated_plot(study.trained))
    page.write_text(_render(study), encoding="utf-8")
    return page


def _render(study: LossStudy) -> str:
    return render(
        HERE / "loss",
        "fedretina",
        "torch",
        source=study.source,
        nncodec=any(point.family.startswith("NNCodec") for judged in study.vectors for point in judged.points),
        vectors=_vectors(study.vectors),
        bars=bar_table(bars(study.vectors, study.trained)),
        needs=_needs(study.vectors),
        one_step=_steps(study.vectors),
        judged=[{"name": judged.name, "points": _points(judged.points)} for judged in study.vectors],
        federated=_federated(study.trained),
        size=f"{study.federation.weights:,}",
        steps=study.federation.steps,
        rounds=study.federation.rounds,
    )


def _vectors(vectors: Sequence[Judged]) -> str:
    rows = [[v.name, f"{v.weights:,}", f"{v.rms:.2e}", f"{v.losses[0]:.4f}", f"{v.losses[1]:.4f}"] for v in vectors]
    return table(["vector", "float values", "RMS of the difference", "loss before", "loss after"], rows)


def _needs(vectors: Sequence[Judged]) -> str:
    rows = [_need(judged.name, need) for judged in vectors for need in needs(judged)]
    return table(["vector", "lost at most", "ours, bpw", "setting", "best peer, bpw", "setting"], rows)


def _steps(vectors: Sequence[Judged]) -> str:
    columns = [f"{label}: bpw, lost" for _, label in _COMPARED]
    rows = [[judged.name, *(_at(judged.points, *setting) for setting in _COMPARED)] for judged in vectors]
    return table(["vector", *columns], rows)


def _at(points: Sequence[LossPoint], family: str, label: str) -> str:
    found = [point for point in points if (point.family, point.label) == (family, label)]
    return ", ".join(f"{point.bpw:.3f}, {100 * point.lost:.2f} %" for point in found) or "not measured"


def _need(name: str, need: Need) -> list[str]:
    return [name, f"{100 * need.threshold:g} %", *_setting(need.ours), *_setting(need.peer)]


def _setting(point: LossPoint | None) -> list[str]:
    return ["none", ""] if point is None else [f"{point.bpw:.3f}", f"{point.family}, {point.label}"]


def _points(points: Sequence[LossPoint]) -> str:
    rows = [[p.family, p.label, f"{p.bpw:.3f}", f"{p.error:.4f}", f"{100 * p.lost:.2f} %"] for p in points]
    return table(["scheme", "setting", "bpw", "error", "lost"], rows)


def _federated(trained: Sequence[Training]) -> str:
    ordered = sorted(trained, key=lambda run: run.losses[-1])
    rows = [[run.channel, f"{run.bpw:.3f}", *(f"{loss:.4f}" for loss in (run.losses[0], run.losses[-1]))] for run in ordered]
    return table(["codec", "bpw up", "first loss", "last loss"], rows)
