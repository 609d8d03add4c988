"""Write numbers for people, and the lines that a run prints after each round."""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean

from fedretina.runs import ModelHistory, Round, Run, Totals

WIDTH = 110
RESULTS = {
    "alone": "Target alone",
    "finetune": "Best source, fine-tuned",
    "reuse": "Reuse",
    "full": "Target with all labels",
}
"""The names of a target's results for people."""
LISTED = 4
"""More targets than this are summed up by a mean."""
_PERCENT = {"mAP": "mAP", **{f"rank{k}": f"Rank-{k}" for k in (1, 5, 10, 20)}}


def size(count: float) -> str:
    """Write a number of bytes with three digits, in powers of 1000.

    Examples
    --------
    >>> size(999), size(8_140_000), size(95e6)
    ('999 B', '8.14 MB', '95.0 MB')
    """
    if not 1 <= abs(count) < math.inf:
        return f"{count:.0f} B"
    power = min(int(math.log10(abs(count)) / 3 + 1e-12), 5)
    scaled = float(f"{count / 1000**power:.3g}")
    if scaled >= 1000 and power < 5:
        scaled, power = scaled / 1000, power + 1
    digits = 0 if power == 0 else max(0, 2 - int(math.log10(abs(scaled))))
    return f"{scaled:.{digits}f} {('B', 'kB', 'MB', 'GB', 'TB', 'PB')[power]}"


def times(factor: float) -> str:
    """Write a factor: `11.7x`, `123x`, `1e+06x`; a dash where it is not finite."""
    if not math.isfinite(factor):
        return "-"
    return f"{factor:.1f}x" if factor < 100 else f"{factor:.0f}x" if factor < 1e5 else f"{factor:.0e}x"


def label(metric: str) -> str:
    """Return a metric's name for people: `Rank-1` for `rank1`."""
    return _PERCENT.get(metric, metric)


def value(metric: str, number: float | None, *, unit: bool = True) -> str:
    """Write a metric's value with one digit; the metrics of re-ID are in percent.

    Examples
    --------
    >>> value("mAP", 61.23), value("accuracy", 93.1), value("mAP", None)
    ('61.2 %', '93.1', '-')
    """
    if number is None or not math.isfinite(number):
        return "-"
    return f"{number:.1f}" + (" %" if unit and metric in _PERCENT else "")


def difference(number: float) -> str:
    """Write a difference with its sign: `+9.8`, `-2.1`, `+0.0`."""
    return f"{round(number, 1) + 0.0:+.1f}"


def saving(totals: Totals) -> str:
    """Write how much was sent, and how much the same models are uncompressed."""
    if totals.raw == 0 and totals.wire == 0:
        return "nothing on the wire"
    words = f"{size(totals.wire)} instead of {size(totals.raw)} on the wire"
    return f"{words}: {times(totals.factor)} less" if totals.factor > 1 else f"{words}: {times(totals.factor)}"


def headline(run: Run) -> str:
    """Write the results of a run in one line: primary metrics, gains over the targets alone, bytes.

    More than four targets are summed up by their mean. A run without metrics has the bytes only.
    """
    found = [history for history in run.histories if history.metric in history.last]
    if len(found) > LISTED:
        return f"{_mean_words(found)}; {saving(run.totals)}"
    words = [_words(history, with_target=len(run.targets) > 1) for history in found]
    return "; ".join([*words, saving(run.totals)])


def _words(history: ModelHistory, *, with_target: bool) -> str:
    metric, gain = history.metric, gain_over(history, "alone")
    words = f"{history.method} {value(metric, history.last.get(metric))} {label(metric)}"
    return (f"{history.target}: " if with_target else "") + words + _gain_words(gain)


def _mean_words(histories: Sequence[ModelHistory]) -> str:
    metric = histories[0].metric
    scores = [history.last[metric] for history in histories if metric in history.last]
    gains = [gain for history in histories if (gain := gain_over(history, "alone")) is not None]
    words = f"mean of {len(scores)} targets: reuse {value(metric, fmean(scores))} {label(metric)}"
    return words + _gain_words(fmean(gains) if gains else None)


def _gain_words(gain: float | None) -> str:
    return "" if gain is None else f", {difference(gain)} {'against' if gain < 0 else 'over'} the target alone"


def gain_over(history: ModelHistory, key: str) -> float | None:
    """Return by how much reuse beats another result in the primary metric; None if one of them is missing."""
    metric, results = history.metric, history.results
    ours, other = (results[k].metrics.get(metric) if k in results else None for k in ("reuse", key))
    return None if ours is None or other is None or not math.isfinite(ours - other) else ours - other


def by_weight(alpha: Mapping[str, float]) -> list[tuple[str, float]]:
    """Sort sources by their alpha, largest first."""
    return sorted(alpha.items(), key=lambda item: -item[1])


def format_round(entry: Round, *, header: bool, target: str = "") -> str:
    """Write one round as a plain line, at most 110 characters wide, to print while the run is under way.

    Parameters
    ----------
    entry : Round
        Its number, metrics, alpha and bytes are shown.
    header : bool
        Whether the line of column names comes first. Log the two lines (`splitlines`) one by one: Flower's log
        puts its prefix before the first line only.
    target : str, default ""
        The target, for a run with several; it has a column of its own, cut to 16 characters.

    Returns
    -------
    str
        One line, or two with the header, without a line break at the end. It shows at most five metrics, or four if there
        is a column of the target, and the sources of the largest alpha that fit.

    Examples
    --------
    >>> entry = Round(2, {"mAP": 58.41, "rank1": 72.0}, {"msmt17": 0.6, "cuhk03": 0.4},
    ...               Totals(raw_down=9_600_000, raw_up=4_800_000, wire_down=800_000, wire_up=400_000))
    >>> print(format_round(entry, header=True))
    round     mAP  Rank-1       down         up    saved  alpha
        2  58.4 %  72.0 %     800 kB     400 kB    12.0x  msmt17 0.60, cuhk03 0.40
    """
    names, cells = _columns(entry, most=4 if target else 5)
    first, column = (f"{target[:16]:<16}", f"{'target':<16}") if target else ("", "")
    lines = [column + _line(names, "alpha", names)] if header else []
    room = WIDTH - len(first) - len(_line(cells, "", names))
    return "\n".join([*lines, first + _line(cells, _alpha(entry.alpha, room), names)])


def _columns(entry: Round, *, most: int) -> tuple[list[str], list[str]]:
    metrics = list(entry.metrics.items())[:most]
    names = ["round", *(label(name)[:12] for name, _ in metrics), "down", "up", "saved"]
    totals = entry.totals
    traffic = [size(totals.wire_down), size(totals.wire_up), times(totals.factor)]
    return names, [str(entry.number), *(value(name, number) for name, number in metrics), *traffic]


def _line(cells: Sequence[str], last: str, names: Sequence[str]) -> str:
    metrics = len(names) - 4
    widths = [5, *(max(8, len(name) + 2) for name in names[1 : 1 + metrics]), 11, 11, 9]
    return "".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True)) + f"  {last}"


def _alpha(alpha: Mapping[str, float], room: int) -> str:
    words = [f"{source} {weight:.2f}" for source, weight in by_weight(alpha)]
    shown = len(words)
    while shown and len(text := _cut(words, shown)) > room:
        shown -= 1
    return text if shown else ""


def _cut(words: Sequence[str], shown: int) -> str:
    rest = len(words) - shown
    return ", ".join(words[:shown]) + (f", +{rest}" if rest else "")
