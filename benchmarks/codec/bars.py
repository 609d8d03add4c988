"""The bars: what was promised, what was measured, whether it is met. All computed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from codec.measure import Point
from codec.race import ALL_CORES, WHOLE_WAY, ZLIB, Lap
from codec.rates import at_error, of_family
from codec.roster import PAPER_SMALL, ROUNDING, SAME, same

# The bars: a codec that was measured on other vectors took so much where per-tensor entropy took so much.
_SAME_INTEGERS = {3: 1.15 / 1.27, 4: 4.23 / 4.40}
_SMALL_CNN = 0.93
_RDOQ = 0.92
_ENCODE = {"balanced": 3.0, "fast": 6.0}
_DECODE = 0.5
_MEMORY = 1.5
_NNCODEC_SPEED = 20.0


@dataclass(frozen=True)
class Bar:
    """One bar on one vector."""

    what: str
    vector: str
    bar: str
    value: str
    met: bool


def rate_bars(vector: str, points: Sequence[Point], floors: Mapping[str, Mapping[str, float]]) -> Iterator[Bar]:
    """Compare sizes: with per-tensor entropy on the same integers, with plain rounding at equal error, with NNCodec."""
    for bits in (3, 4):
        yield from _same_integers(vector, bits, points, floors[str(bits)])
    yield from _small(vector, points)
    yield from _nncodec(vector, points)


def _same_integers(vector: str, bits: int, points: Sequence[Point], floor: Mapping[str, float]) -> Iterator[Bar]:
    """Yield the bar on the balanced effort; the small CNN has one at c = 3 alone."""
    entropy = floor["per_tensor"]
    if "resnet" in vector:
        limit = _SAME_INTEGERS[bits] * entropy
    elif bits == 3:
        limit = _SMALL_CNN * entropy
    else:
        return
    found = next(p.bpw for p in of_family(points, SAME) if p.label == same("balanced", bits))
    what = f"same integers, c = {bits}, balanced: bpw (entropy {entropy:.3f}, by class {floor['by_class']:.3f})"
    yield Bar(what, vector, f"≤ {limit:.3f}", f"{found:.3f}", found <= limit)


def _small(vector: str, points: Sequence[Point]) -> Iterator[Bar]:
    found = next(p for p in of_family(points, PAPER_SMALL) if p.label == "c = 3")
    plain = at_error(of_family(points, ROUNDING), found.error)
    if plain is None:
        return
    what = f'`bits=3, effort="small"` at error {found.error:.3f}: bpw (plain rounding, same coder: {plain:.3f})'
    yield Bar(what, vector, f"≤ {_RDOQ * plain:.3f}", f"{found.bpw:.3f}", found.bpw <= _RDOQ * plain)


def _nncodec(vector: str, points: Sequence[Point]) -> Iterator[Bar]:
    """Yield the aim beyond the bars: smaller than NNCodec's smallest mode at c = 3's error, and 20 times as fast."""
    ours = next(p for p in of_family(points, PAPER_SMALL) if p.label == "c = 3")
    rivals = of_family(points, "NNCodec smallest")
    bpw = at_error(rivals, ours.error)
    if bpw is None:
        return
    what = f'aim: `bits=3, effort="small"` at error {ours.error:.3f}: bpw (NNCodec\'s smallest mode: {bpw:.3f})'
    yield Bar(what, vector, f"< {bpw:.3f}", f"{ours.bpw:.3f}", ours.bpw < bpw)
    ratio = min(rivals, key=lambda point: abs(point.error - ours.error)).encode_s / ours.encode_s
    what = "aim: it encodes so many times as fast as that mode"
    yield Bar(what, vector, f"≥ {_NNCODEC_SPEED:g}", f"{ratio:.1f}", ratio >= _NNCODEC_SPEED)


def speed_bars(vector: str, bits: int, laps: Sequence[Lap]) -> Iterator[Bar]:
    """Compare speeds, on all cores, with zlib's in the same race: the whole way, and of integers that are ready."""
    by_label = {lap.label: lap for lap in laps}
    for rival, what in ((WHOLE_WAY, "zlib-6 the whole way"), (ZLIB, "zlib-6 of ready integers")):
        zlib = by_label[rival]
        for effort, limit in _ENCODE.items():
            yield speed_bar(
                f"{effort} encodes, times {what}, c = {bits}", vector, limit, fastest(by_label, effort).encode / zlib.encode
            )
        ratio = fastest(by_label, "balanced").decode / zlib.decode
        yield speed_bar(f"balanced decodes, times {what}, c = {bits}", vector, _DECODE, ratio)


def fastest(laps: Mapping[str, Lap], effort: str) -> Lap:
    """Return the lap on all cores; where there is one core, there is no such lap."""
    return laps.get(ALL_CORES.format(effort), laps[f"DoM {effort}"])


def speed_bar(what: str, vector: str, limit: float, ratio: float) -> Bar:
    """Return the bar on a ratio of speeds."""
    return Bar(what, vector, f"≥ {limit:g}", f"{ratio:.2f}", ratio >= limit)


def memory_bars(vector: str, peaks: Mapping[str, Mapping[str, float]]) -> Iterator[Bar]:
    """Compare peak memory with what is allowed."""
    for effort, found in peaks.items():
        for way, value in found.items():
            what = f"peak memory of {way}, {effort}, beside inputs and output: model sizes"
            yield Bar(what, vector, f"≤ {_MEMORY:g}", f"{value:.2f}", value <= _MEMORY)
