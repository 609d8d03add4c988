"""The page: every number in it is computed, its words are in page.md.j2."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from codec.plots import rate_plot, skip_plot, speed_plot
from codec.race import ZLIB, Lap
from codec.results import HERE
from codec.skips import History
from codec.study import Measured, Study
from codec.template import bar_table, render
from codec.vectors.images import FALL
from fedretina.study import table

NAME = "codec.md"


def write(study: Study, docs: Path) -> Path:
    """Write the page and its images; return the page's path."""
    images = docs / "images"
    images.mkdir(parents=True, exist_ok=True)
    for measured in study.updates:
        (images / f"codec-{measured.name}.png").write_bytes(rate_plot(measured))
    first = study.updates[0]
    (images / "codec-speed.png").write_bytes(speed_plot(first.laps, first.name))
    (images / "codec-skips.png").write_bytes(skip_plot(study.histories))
    page = docs / NAME
    page.write_text(_render(study), encoding="utf-8")
    return page


def _render(study: Study) -> str:
    return render(
        HERE,
        "fedretina",
        "pcodec",
        source=study.source,
        nncodec=any(point.family.startswith("NNCodec") for measured in study.updates for point in measured.points),
        vectors=_vectors(study.updates),
        bars=bar_table(bar for measured in study.updates for bar in measured.bars()),
        updates=[_update(measured) for measured in study.updates],
        memory=_memory(study.updates),
        fall=f"{100 * (1 - FALL):.0f} %",
        histories=[_history(name, found) for name, found in study.histories.items()],
        budgets=_budgets(study.updates),
        feedback=_feedback(study),
    )


def _vectors(updates: Sequence[Measured]) -> str:
    rows = [[m.name, f"{m.weights:,}", f"{m.rms:.2e}"] for m in updates]
    return table(["vector", "float values", "RMS of the difference"], rows)


def _update(measured: Measured) -> dict[str, Any]:
    floors = [
        [f"c = {bits}", f"{floor['per_tensor']:.3f}", f"{floor['by_class']:.3f}"] for bits, floor in measured.floors.items()
    ]
    points = [[p.family, p.label, f"{p.bpw:.3f}", f"{p.error:.4f}"] for p in measured.points]
    return {
        "name": measured.name,
        "floors": table(["step 10^-c, dead zone .3", "entropy per tensor, bpw", "entropy by class, bpw"], floors),
        "points": table(["scheme", "setting", "bpw", "error"], points),
        "laps": {bits: lap_rows(laps) for bits, laps in measured.laps.items()},
    }


def lap_rows(laps: Sequence[Lap]) -> str:
    """Write a race as a table."""
    zlib = next(lap for lap in laps if lap.label == ZLIB)
    rows = [
        [
            lap.label,
            f"{lap.bpw:.3f}",
            f"{lap.encode:.0f} ({lap.encode_cpu:.0f})",
            f"{lap.encode / zlib.encode:.2f}",
            f"{lap.decode:.0f} ({lap.decode_cpu:.0f})",
            f"{lap.decode / zlib.decode:.2f}",
        ]
        for lap in laps
    ]
    return table(["", "bpw", "encode, MB/s", "times zlib-6", "decode, MB/s", "times zlib-6"], rows)


def _memory(updates: Sequence[Measured]) -> str:
    rows = [
        [measured.name, effort, f"{found['encode']:.2f}", f"{found['decode']:.2f}"]
        for measured in updates
        for effort, found in measured.memory.items()
    ]
    return table(["vector", "effort", "encode", "decode"], rows)


def _history(name: str, found: History) -> dict[str, Any]:
    rows = [
        [
            str(skip.missed),
            f"{skip.chain:.2f}",
            f"{skip.offered:.2f} ({skip.kind})",
            f"{skip.offered / found.delta:.2f}",
            f"{100 * skip.offered / skip.chain:.0f} %",
            f"{skip.lossy:.2f}",
        ]
        for skip in found.skips
    ]
    head = ["missed", "chain, bpw", "offered, bpw", "in mean deltas", "of the chain", "one-shot, bpw"]
    costs = {"keyframe": f"{found.keyframe:.2f}", "delta": f"{found.delta:.2f}", "routes": found.routes}
    return {"name": name, "table": table(head, rows), **costs}


def _budgets(updates: Sequence[Measured]) -> str:
    rows = [
        [
            measured.name,
            "yes" if spent.lattice else "no",
            f"{spent.asked:,}",
            f"{spent.taken:,}",
            f"{100 * spent.taken / spent.asked:.1f} %",
            f"{spent.error:.4f}",
        ]
        for measured in updates
        for spent in measured.spent
    ]
    return table(["vector", "lattice", "asked, bytes", "taken", "share", "error"], rows)


def _feedback(study: Study) -> str:
    rows = [
        [
            "not coded" if learnt.bpw == 32 else f"{learnt.bpw:g}",
            "yes" if learnt.feedback else "no",
            f"{learnt.accuracy:.1f}",
            f"{learnt.loss:.4f}",
        ]
        for learnt in study.learnt
    ]
    return table(["bpw", "feedback", "accuracy, %", "training loss"], rows)
