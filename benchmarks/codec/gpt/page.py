"""The page: every number in it is computed, its words are in page.md.j2."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from codec.bars import Bar, fastest, speed_bar
from codec.gpt import sensitivities, small
from codec.gpt.study import GptStudy
from codec.page import lap_rows
from codec.race import WHOLE_WAY, ZLIB
from codec.results import HERE
from codec.template import bar_table, render
from fedretina.study import table

NAME = "codec-gpt.md"
_ENCODE, _DECODE, _TIMES_NNCODEC = 4.0, 1.0, 2.0  # times zlib-6, times zlib-6, times NNCodec's smallest mode


def write(study: GptStudy, docs: Path) -> Path:
    """Write the page; return its path."""
    docs.mkdir(parents=True, exist_ok=True)
    page = docs / NAME
    page.write_text(_render(study), encoding="utf-8")
    return page


def _render(study: GptStudy) -> str:
    return render(
        HERE / "gpt",
        "fedretina",
        "torch",
        adapters=" and ".join(study.adapters),
        coded=_coded(study),
        small=f"{small.TENSORS:,}",
        side=small.SIDE,
        runs=small.RUNS,
        timed=_timed(study.timed),
        batches=sensitivities.BATCHES,
        spent=_spent(study),
        weights=f"{study.weights:,}",
        zlib=f"{next(lap.bpw for lap in study.laps if lap.label == ZLIB):.2f}",
        nncodec=any(lap.label == "NNCodec smallest" for lap in study.laps),
        laps=lap_rows(study.laps),
        bars=bar_table(_bars(study)),
    )


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


def _bars(study: GptStudy) -> Iterator[Bar]:
    by_label = {lap.label: lap for lap in study.laps}
    zlib = by_label[WHOLE_WAY]
    for effort in ("fast", "balanced"):
        ours, what = fastest(by_label, effort), "times zlib-6 the whole way"
        yield speed_bar(f"{effort} encodes, {what}", study.name, _ENCODE, ours.encode / zlib.encode)
        yield speed_bar(f"{effort} decodes, {what}", study.name, _DECODE, ours.decode / zlib.decode)
    if rival := by_label.get("NNCodec smallest"):
        ratio = by_label["DoM small"].encode / rival.encode
        yield speed_bar("small encodes, times NNCodec's smallest", study.name, _TIMES_NNCODEC, ratio)
