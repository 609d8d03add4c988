"""The page: every number in it is computed, its words are in page.md.j2."""

import os
import platform
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from codec.bars import Bar
from codec.gpt import sensitivities, small
from codec.gpt.study import GptStudy
from codec.page import lap_rows
from codec.race import ALL_CORES, WHOLE_WAY, ZLIB, Lap
from codec.results import HERE
from fedretina.study import table

NAME = "codec-gpt.md"
_ENCODE, _DECODE, _NNCODEC = 4.0, 1.0, 2.0  # times zlib-6, times zlib-6, times NNCodec's smallest mode


def write(study: GptStudy, docs: Path) -> Path:
    """Write the page; return its path."""
    docs.mkdir(parents=True, exist_ok=True)
    page = docs / NAME
    page.write_text(_render(study), encoding="utf-8")
    return page


def _render(study: GptStudy) -> str:
    # Markdown, not HTML: nothing is to be escaped.
    environment = Environment(loader=FileSystemLoader(HERE / "gpt"), undefined=StrictUndefined, keep_trailing_newline=True)
    versions = {name: metadata.version(name) for name in ("fedretina", "torch")}
    text = environment.get_template("page.md.j2").render(
        about=versions | {"machine": platform.machine(), "cores": os.cpu_count()},
        adapters=" and ".join(study.adapters),
        coded=_coded(study),
        small=f"{small.TENSORS:,}",
        side=small.SIDE,
        runs=small.RUNS,
        timed=_timed(study.timed),
        batches=sensitivities.BATCHES,
        spent=_spent(study),
        weights=f"{study.weights:,}",
        zlib=f"{_lap(study.laps, ZLIB).bpw:.2f}",
        nncodec=any(lap.label.startswith("NNCodec") for lap in study.laps),
        laps=lap_rows(study.laps),
        bars=_bars(study.laps),
    )
    return text.rstrip() + "\n"


def _coded(study: GptStudy) -> str:
    rows = [
        [
            name,
            f"{row.step:g} RMS",
            row.effort,
            f"{row.bpw:.3f}",
            f"{row.entropy:.3f}",
            f"{100 * (row.bpw / row.entropy - 1):+.1f} %",
            f"{row.error:.3f}",
            f"{row.rounding:.3f}",
            f"{row.header:.2f}",
        ]
        for name, coded in study.adapters.items()
        for row in coded
    ]
    head = ["vector", "step", "effort", "bpw", "entropy, bpw", "ours over it", "error", "of rounding", "header, bytes"]
    return table(head, rows)


def _timed(timed: Sequence[small.Timed]) -> str:
    rows = [[row.way, row.effort, f"{row.encode:.3f}", f"{row.decode:.3f}", f"{row.header:.2f}"] for row in timed]
    return table(["coded with", "effort", "encode, ms a tensor", "decode, ms a tensor", "header, bytes a tensor"], rows)


def _spent(study: GptStudy) -> str:
    rows = [
        [name, f"{row.bits:g}", f"{100 * row.without:.1f}", f"{100 * row.given:.1f}"]
        for name, spent in study.spent.items()
        for row in spent
    ]
    return table(["vector", "budget, bpw", "lost without, %", "lost with sensitivities, %"], rows)


def _bars(laps: Sequence[Lap]) -> str:
    zlib = _lap(laps, WHOLE_WAY)
    bars = []
    for effort in ("fast", "balanced"):
        label = ALL_CORES.format(effort)
        ours = next((lap for lap in laps if lap.label == label), None) or _lap(laps, f"DoM {effort}")
        for what, ratio, limit in (
            ("encodes", ours.encode / zlib.encode, _ENCODE),
            ("decodes", ours.decode / zlib.decode, _DECODE),
        ):
            bars.append(
                Bar(f"{effort} {what}, times zlib-6 the whole way", "", f"≥ {limit:g}", f"{ratio:.2f}", ratio >= limit)
            )
    for rival in (lap for lap in laps if lap.label.startswith("NNCodec")):
        ratio = _lap(laps, "DoM small").encode / rival.encode
        bars.append(Bar("small encodes, times NNCodec's smallest", "", f"≥ {_NNCODEC:g}", f"{ratio:.1f}", ratio >= _NNCODEC))
    rows = [[bar.what, bar.bar, bar.value, "yes" if bar.met else "**no**"] for bar in bars]
    return table(["what", "bar", "measured", "met"], rows)


def _lap(laps: Sequence[Lap], label: str) -> Lap:
    return next(lap for lap in laps if lap.label == label)
